"""A cluster that adds nodes for pods without a place, and gives them back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from longshore.cluster.config import ClusterPaths
from longshore.cluster.host.processes import recorded

from .conftest import started
from .driver import Cluster, eventually, kubectl_versions, longshore
from .test_failures import deployment

QUICK = ("--scale-down-unneeded-time", "2s", "--scale-down-delay-after-add", "2s")


@pytest.fixture(params=kubectl_versions(), ids=lambda path: Path(path).name)
def elastic(request: pytest.FixtureRequest, short_root: Path) -> Iterator[Cluster]:
    """Two hollow nodes of 32 cpus that may become four, or one."""
    sizes = ("--nodes", "2", "--hollow", "--autoscale", "1:4", *QUICK)
    made = started("elastic", short_root, *sizes)
    try:
        yield Cluster(made.name, made.root, made.server, made.kubeconfig, request.param)
    finally:
        made.longshore("down")


def asking(cpu: str, replicas: int) -> dict[str, Any]:
    made = deployment("web", replicas)
    (container,) = made["spec"]["template"]["spec"]["containers"]
    container["resources"] = {"requests": {"cpu": cpu}}
    return made


def nodes(cluster: Cluster) -> list[str]:
    return sorted(one["metadata"]["name"] for one in cluster.get("nodes")["items"])


def told(cluster: Cluster, reason: str) -> set[str]:
    found = cluster.get("events", "-A", "--field-selector", f"reason={reason}")["items"]
    return {one["message"] for one in found}


async def test_hollow_nodes_come_and_go(elastic: Cluster) -> None:
    elastic.apply(asking("20", 4))
    await eventually(lambda: len(elastic.running("app=web")) == 4, "four pods")
    assert nodes(elastic) == ["node-1", "node-2", "node-3", "node-4"]
    assert told(elastic, "TriggeredScaleUp") == {"pod triggered scale-up: [{local 2->4 (max: 4)}]"}
    elastic.kubectl("scale", "deployment", "web", "--replicas", "5")
    reached = "pod didn't trigger scale-up: 1 max node group size reached"
    await eventually(lambda: reached in told(elastic, "NotTriggerScaleUp"), "the maximum is told")
    assert reached in elastic.kubectl("describe", "pods", "-l", "app=web")
    elastic.kubectl("scale", "deployment", "web", "--replicas", "1")
    await eventually(lambda: len(nodes(elastic)) == 1, "one node is left")
    assert len(elastic.running("app=web")) == 1
    assert "nodes removed by cluster autoscaler" in told(elastic, "ScaleDown")
    status = elastic.kubectl(
        "get", "configmap", "-n", "kube-system", "cluster-autoscaler-status",
        "-o", "jsonpath={.data.status}",
    )  # fmt: skip
    assert "autoscalerStatus: Running" in status and "maxSize: 4" in status
    metrics = elastic.kubectl("get", "--raw", "/metrics")
    assert "cluster_autoscaler_scaled_up_nodes_total 2" in metrics
    # Sizes survive: what is there is there again, and still follows.
    elastic.longshore("stop")
    elastic.longshore("start")
    assert len(nodes(elastic)) == 1
    elastic.kubectl("scale", "deployment", "web", "--replicas", "2")
    await eventually(lambda: len(elastic.running("app=web")) == 2, "two pods")


def test_what_is_refused(short_root: Path) -> None:
    def up(*words: str) -> str:
        where = ("--name", "refused", "--root", str(short_root), "--no-merge", "--hollow")
        return longshore("up", *where, *words, code=2)

    assert "write it like 1:6" in up("--autoscale", "many")
    assert "the smaller number first" in up("--autoscale", "6:1")
    assert "--nodes 1 is not within --autoscale 2:6" in up("--autoscale", "2:6")
    assert "--expander 'price' is not there yet" in up("--autoscale", "1:6", "--expander", "price")
    refused = up("--autoscale", "1:6", "--scale-down-utilization-threshold", "1.5")
    assert "--scale-down-utilization-threshold 1.5: use more than 0, up to 1" in refused
    assert "without --autoscale" in up("--scale-down-unneeded-time", "2s")


@pytest.mark.root
@pytest.mark.slow
async def test_real_nodes_come_within_seconds_and_go(short_root: Path, images: list[Path]) -> None:
    """Each pod asks for more than half of a node: three of them need one more than there are."""
    cluster = started("grows", short_root, "--nodes", "2", "--autoscale", "1:3", *QUICK)
    try:
        cluster.longshore("image load", str(images[2]))
        whole = cluster.get("node", "node-1")["status"]["allocatable"]["cpu"]
        cluster.apply(asking(f"{int(whole) * 600}m", 2))
        await eventually(lambda: len(cluster.running("app=web")) == 2, "two pods")
        cluster.kubectl("scale", "deployment", "web", "--replicas", "3")
        await eventually(lambda: len(cluster.running("app=web")) == 3, "a third pod")
        assert nodes(cluster) == ["node-1", "node-2", "node-3"]
        cluster.kubectl("scale", "deployment", "web", "--replicas", "2")
        await eventually(lambda: len(nodes(cluster)) == 2, "the third is given back")
        left = json.loads(cluster.longshore("node list", "--json"))["nodes"]
        alive = {
            one.role for one in recorded(ClusterPaths(short_root, "grows").processes) if one.alive
        }
        assert alive == {"server", "provisioner", *(one["name"] for one in left)}
        assert len(cluster.running("app=web")) == 2
    finally:
        cluster.longshore("down")
