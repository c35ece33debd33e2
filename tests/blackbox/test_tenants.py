"""What a team in a namespace of its own meets, as kubectl says it: quotas, limits, pod security."""

from __future__ import annotations

import json

import pytest

from .driver import Cluster

pytestmark = pytest.mark.slow

PRIVILEGED = {
    "spec": {"containers": [
        {"name": "p", "image": "nginx", "securityContext": {"privileged": True}}]},
}  # fmt: skip


def test_a_team_has_a_quota_limits_and_a_level(hollow: Cluster) -> None:
    hollow.kubectl("create", "namespace", "team")
    team = ("-n", "team")
    hollow.kubectl(*team, "create", "quota", "small", "--hard=pods=2,requests.cpu=1")
    hollow.apply(
        {
            "apiVersion": "v1",
            "kind": "LimitRange",
            "metadata": {"name": "usual", "namespace": "team"},
            "spec": {"limits": [{"type": "Container", "defaultRequest": {"cpu": "300m"}}]},
        }
    )
    hollow.kubectl("label", "namespace", "team", "pod-security.kubernetes.io/enforce=baseline")
    for name in ("one", "two"):
        hollow.kubectl(*team, "run", name, "--image=nginx")
    third = hollow.kubectl_run(*team, "run", "three", "--image=nginx")
    assert third.returncode == 1
    assert (
        'pods "three" is forbidden: exceeded quota: small, requested: pods=1, used: pods=2, '
        "limited: pods=2" in third.stderr
    )
    hollow.kubectl(
        *team, "wait", "quota/small", "--for=jsonpath={.status.used.pods}=2", "--timeout=120s"
    )
    described = hollow.kubectl("describe", "namespace", "team").split()
    wanted = ["pods", "2", "2", "requests.cpu", "600m", "1"]
    assert any(described[i : i + 6] == wanted for i in range(len(described))), described
    hollow.kubectl(*team, "delete", "pod", "two", "--now")
    overrides = json.dumps(PRIVILEGED)
    refused = hollow.kubectl_run(
        *team, "run", "p", "--image=nginx", f"--overrides={overrides}", "--override-type=strategic"
    )
    assert 'violates PodSecurity "baseline:latest": privileged (' in refused.stderr, refused.stderr
    warned = hollow.kubectl_run(
        "label", "--overwrite", "namespace", "team", "pod-security.kubernetes.io/enforce=restricted"
    )
    assert "Warning: existing pods in namespace" in warned.stderr
    hollow.kubectl("delete", "namespace", "team")
