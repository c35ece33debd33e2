"""A node of real containers runs what its directory of static pods asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from longshore.cluster.config import ClusterPaths

from .driver import Cluster, eventually, is_ready

pytestmark = [pytest.mark.root, pytest.mark.slow]
MANIFEST = """\
apiVersion: v1
kind: Pod
metadata: {name: keeper, labels: {app: keeper}}
spec:
  hostNetwork: %s
  terminationGracePeriodSeconds: 0
  containers:
  - {name: main, image: "busybox:1.36", imagePullPolicy: IfNotPresent, command: [sh, -c, "echo %s; exec sleep 1000"]}
"""


def directory(cluster: Cluster, node: str) -> Path:
    return ClusterPaths(cluster.root, cluster.name).node(node) / "static-pods"


def shown(cluster: Cluster, says: str) -> Any:
    """The ready mirror pod whose container says so, if it is that far."""
    ready = [pod for pod in cluster.pods("app=keeper") if is_ready(pod)]
    if not ready:
        return None
    name = ready[0]["metadata"]["name"]
    return ready[0] if cluster.kubectl_run("logs", name).stdout.strip() == says else None


async def test_static_pods_are_run_shown_kept_changed_and_removed(cluster: Cluster) -> None:
    path = directory(cluster, "node-2") / "keeper.yaml"
    path.write_text(MANIFEST % ("false", "first"))
    try:
        pod = await eventually(lambda: shown(cluster, "first"), "a mirror pod that is ready")
        assert pod["metadata"]["name"] == "keeper-node-2"
        assert pod["metadata"]["ownerReferences"][0]["kind"] == "Node"
        described = cluster.kubectl("describe", "pod", "keeper-node-2")
        assert "Controlled By:  Node/node-2" in described
        assert "Started" in described, "its events are not shown with it"
        uid = pod["metadata"]["uid"]
        started = pod["status"]["containerStatuses"][0]["containerID"]
        cluster.kubectl("delete", "pod", "keeper-node-2", "--wait=false")
        again = await eventually(
            lambda: (new := shown(cluster, "first")) and new["metadata"]["uid"] != uid and new,
            "a mirror pod made again",
        )
        assert again["status"]["containerStatuses"][0]["containerID"] == started
        path.write_text(MANIFEST % ("true", "second"))
        await eventually(lambda: shown(cluster, "second"), "the changed pod")
    finally:
        path.unlink()
    await eventually(lambda: not cluster.pods("app=keeper"), "the mirror pod to be gone")
