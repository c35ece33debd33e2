"""Images of a registry that asks who is there, pulled by a node for pods with and without secrets."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from longshore.cluster.config import ClusterPaths
from longshore.machinery.runtime.protocol import Login
from tests.runtime.registries import USER, private_registry, pull_secret, push

from .driver import Cluster, eventually

pytestmark = [pytest.mark.root, pytest.mark.slow]
PORT, NODE = 5000, "node-1"


@pytest.fixture
async def image(cluster: Cluster, images: list[Path], tmp_path: Path) -> AsyncIterator[str]:
    """A busybox in a private registry that is on one node's own loopback."""
    netns = ClusterPaths(cluster.root, cluster.name).namespaces / NODE
    inside = ["nsenter", f"--net={netns}"]
    async with private_registry(tmp_path, PORT, inside) as host:
        busybox = next(path for path in images if path.name == "busybox.tar")
        reference = f"{host}/team/busybox:1"
        archive = tmp_path / "busybox.tar"
        archive.write_bytes(busybox.read_bytes())
        await push(archive, reference, inside)
        yield reference


def pod(name: str, image: str, **spec: Any) -> dict[str, Any]:
    container = {"name": "main", "image": image, "imagePullPolicy": "IfNotPresent",
                 "command": ["sleep", "1000"]}  # fmt: skip
    own = {"terminationGracePeriodSeconds": 0, "nodeName": NODE, "containers": [container]}
    metadata = {"name": name, "labels": {"app": "private"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {**own, **spec}}


def states(cluster: Cluster) -> dict[str, str]:
    """Running, or why it waits, by pod."""
    found = {}
    for one in cluster.pods("app=private"):
        statuses = one["status"].get("containerStatuses") or [{"state": {}}]
        waiting = statuses[0]["state"].get("waiting", {}).get("reason", "")
        found[one["metadata"]["name"]] = waiting or one["status"]["phase"]
    return found


async def test_a_secret_opens_a_registry_for_the_pods_that_name_it_alone(
    cluster: Cluster, image: str
) -> None:
    host = image.partition("/")[0]
    secrets = {"good": USER, "bad": Login(USER.username, "wrong")}
    for name, login in secrets.items():
        metadata = {"name": name}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}
        cluster.apply({**secret, **pull_secret(host, login)})
    account = {"imagePullSecrets": [{"name": "good"}]}
    cluster.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "puller"}, **account}
    )
    try:
        cluster.apply(pod("named", image, **account))
        cluster.apply(pod("missing", image, imagePullSecrets=[{"name": "nothing"}]))
        cluster.apply(pod("wrong", image, imagePullSecrets=[{"name": "bad"}]))
        await eventually(lambda: states(cluster).get("named") == "Running", "the pod with a secret")
        # The image is there now, for those who could pull it.
        cluster.apply(pod("without", image))
        cluster.apply(pod("by-account", image, serviceAccountName="puller"))
        good = {"named": "Running", "by-account": "Running"}
        refused = ("missing", "wrong", "without")

        def settled() -> bool:
            now = states(cluster)
            return {name: now.get(name) for name in good} == good and all(
                now.get(name) in ("ErrImagePull", "ImagePullBackOff") for name in refused
            )

        await eventually(settled, "each pod where it belongs")
        told = cluster.kubectl("describe", "pod", "missing")
        assert "FailedToRetrieveImagePullSecret" in told
        assert "Unable to retrieve some image pull secrets (nothing)" in told
        assert "authentication required" in cluster.kubectl("describe", "pod", "wrong")
    finally:
        cluster.kubectl("delete", "pod", "-l", "app=private", "--wait=false")
        cluster.kubectl("delete", "secret/good", "secret/bad", "serviceaccount/puller")


def test_no_password_is_left_on_the_node(cluster: Cluster) -> None:
    home = ClusterPaths(cluster.root, cluster.name)
    for place in (home.images, home.node(NODE)):
        found = subprocess.run(
            ["grep", "-rlF", "--exclude-dir=fs", USER.password, str(place)], capture_output=True
        )
        assert found.stdout == b""
