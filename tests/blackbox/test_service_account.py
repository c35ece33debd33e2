"""What a pod finds of its service account, and what that is good for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from .driver import Cluster, kubectl_versions

pytestmark = [pytest.mark.root, pytest.mark.slow]

PLACE = "/var/run/secrets/kubernetes.io/serviceaccount"
MANIFEST = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "robot", "namespace": "robots"},
    "spec": {
        "terminationGracePeriodSeconds": 0,
        "containers": [
            {"name": "main", "image": "busybox:1.36", "command": ["sleep", "7777"]},
        ],
    },
}


@pytest.fixture(scope="module")
def robot(cluster: Cluster) -> Iterator[Cluster]:
    """A pod in a namespace of the same moment: what it mounts comes a little later than it."""
    newest = replace(cluster, program=kubectl_versions()[-1])
    newest.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "robots"}})
    newest.apply(MANIFEST)
    newest.kubectl("-n", "robots", "wait", "pod/robot", "--for=condition=Ready", "--timeout=120s")
    yield newest
    newest.kubectl("delete", "namespace", "robots")


def read(robot: Cluster, name: str) -> str:
    return robot.kubectl("-n", "robots", "exec", "robot", "--", "cat", f"{PLACE}/{name}")


def test_a_pod_finds_its_token_the_authority_and_its_namespace(robot: Cluster) -> None:
    assert read(robot, "namespace") == "robots"
    assert read(robot, "ca.crt").startswith("-----BEGIN CERTIFICATE-----")
    token = read(robot, "token")
    who = robot.kubectl_run(
        "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}",
        "--kubeconfig", "/dev/null", "--server", robot.server, "--insecure-skip-tls-verify",
        "--token", token,
    )  # fmt: skip
    assert who.stdout == "system:serviceaccount:robots:default", who.stderr


def test_the_token_is_not_on_a_disk(robot: Cluster) -> None:
    mounts = robot.kubectl("-n", "robots", "exec", "robot", "--", "grep", PLACE, "/proc/mounts")
    assert mounts.split()[2] == "tmpfs" and "ro" in mounts.split()[3].split(",")
