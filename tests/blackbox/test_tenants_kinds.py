"""Gangs, queues and offers as people meet them: kubectl, oldest and newest minor, on hollow nodes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from .driver import Cluster, kubectl_versions

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=kubectl_versions(), ids=lambda path: Path(path).name)
def kube(request: pytest.FixtureRequest, hollow: Cluster) -> Iterator[Cluster]:
    """The cluster as one kubectl sees it, in a namespace of that kubectl's own."""
    own = replace(hollow, program=request.param)
    name = "tenants-" + Path(request.param).name.replace(".", "-")
    own.kubectl("create", "namespace", name)
    own.kubectl("config", "set-context", "--current", f"--namespace={name}")
    yield own
    own.kubectl("config", "set-context", "--current", "--namespace=default")
    own.kubectl("delete", "namespace", name, "--timeout=120s")


def apply(kube: Cluster, api_version: str, kind: str, name: str, spec: Any, **more: Any) -> str:
    metadata = {"name": name, **more}
    doc = {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}
    return kube.kubectl("apply", "-f", "-", stdin=json.dumps(doc))


def pod_spec(**more: Any) -> Any:
    requests = {"requests": {"cpu": "10m"}}
    return {"containers": [{"name": "c", "image": "nginx", "resources": requests}], **more}


def test_a_gang(kube: Cluster) -> None:
    spec = {"schedulingPolicy": {"gang": {"minCount": 2}}}
    assert "created" in apply(kube, "scheduling.k8s.io/v1beta1", "PodGroup", "team", spec)
    for name in ("a", "b"):
        assert kube.kubectl("get", "podgroup", "team", "--no-headers").split()[:2] == [
            "team",
            "Gang",
        ]
        apply(kube, "v1", "Pod", name, pod_spec(schedulingGroup={"podGroupName": "team"}))
    kube.kubectl("wait", "pod/a", "pod/b", "--for=condition=Ready", "--timeout=120s")
    wanted = "--for=condition=PodGroupInitiallyScheduled"
    kube.kubectl("wait", "podgroup/team", wanted, "--timeout=120s")
    assert "minCount" in kube.kubectl("explain", "podgroup.spec.schedulingPolicy.gang")


def test_queues(kube: Cluster) -> None:
    name = f"red-{Path(kube.program).name}".replace(".", "-")
    quota = {"name": "cpu", "nominalQuota": "10m"}
    groups = [{"coveredResources": ["cpu"], "flavors": [{"name": "default", "resources": [quota]}]}]
    queue = {"namespaceSelector": {}, "resourceGroups": groups}
    api = "kueue.x-k8s.io/v1beta1"
    try:
        apply(kube, api, "ClusterQueue", name, queue)
        apply(kube, api, "LocalQueue", "batch", {"clusterQueue": name})
        for pod in ("first", "second"):
            labels = {"kueue.x-k8s.io/queue-name": "batch"}
            apply(kube, "v1", "Pod", pod, pod_spec(), labels=labels)
            kube.kubectl("wait", "pod/first", "--for=condition=Ready", "--timeout=120s")
        kube.kubectl("wait", "pod/second", "--for=condition=PodScheduled=False", "--timeout=120s")
        wanted = "--for=jsonpath={.status.pendingWorkloads}=1"
        kube.kubectl("wait", f"clusterqueue/{name}", wanted, "--timeout=120s")
        assert kube.kubectl("get", "lq", "--no-headers").split()[:4] == ["batch", name, "1", "1"]
        assert "insufficient unused quota for cpu" in kube.kubectl("describe", "pod", "second")
        assert "borrowingLimit" in kube.kubectl("explain", "cq", "--recursive")
    finally:
        kube.kubectl("delete", "clusterqueue", name)


def test_offers(kube: Cluster) -> None:
    name = f"o-{Path(kube.program).name}".replace(".", "-")
    spec = {"schedulerName": "other", "leaseDurationSeconds": 120}
    try:
        apply(kube, "scheduling.longshore.io/v1", "Offer", name, spec)
        kube.kubectl("wait", f"offer/{name}", "--for=condition=Offered", "--timeout=120s")
        shown = kube.kubectl("get", "offers", name, "--no-headers").split()
        assert shown[:2] == [name, "other"]
        node = kube.kubectl("get", "offer", name, "-o", "jsonpath={.spec.nodeName}")
        apply(kube, "v1", "Pod", "theirs", pod_spec(schedulerName="other"))
        binding = {
            "apiVersion": "v1", "kind": "Binding", "target": {"kind": "Node", "name": node},
            "metadata": {"name": "theirs", "annotations": {"scheduling.longshore.io/offer": name}},
        }  # fmt: skip
        kube.kubectl("create", "-f", "-", stdin=json.dumps(binding))
        kube.kubectl("wait", "pod/theirs", "--for=condition=Ready", "--timeout=120s")
    finally:
        kube.kubectl("delete", "offer", name)
