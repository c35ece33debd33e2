"""Nodes that are added to a running cluster, and removed from it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from longshore.cluster.config import ClusterPaths
from longshore.cluster.host.processes import recorded

from .conftest import started
from .driver import Cluster, eventually
from .test_failures import deployment


@pytest.fixture
def two(short_root: Path) -> Iterator[Cluster]:
    cluster = started("nodes", short_root, "--nodes", "2", "--hollow")
    try:
        yield cluster
    finally:
        cluster.longshore("down")


def names(cluster: Cluster) -> list[str]:
    return sorted(one["metadata"]["name"] for one in cluster.get("nodes")["items"])


def nodes_of(cluster: Cluster, selector: str) -> set[str]:
    return {pod["spec"]["nodeName"] for pod in cluster.running(selector)}


async def test_added_nodes_take_pods_and_stay(two: Cluster) -> None:
    told = json.loads(two.longshore("node add", "--count", "2", "--json"))
    assert told["added"] == ["node-3", "node-4"] and told["nodes"] == 4
    two.longshore("node add", "special")
    assert names(two) == ["node-1", "node-2", "node-3", "node-4", "special"]
    two.apply(deployment("web", 10))
    await eventually(lambda: len(nodes_of(two, "app=web")) == 5, "pods on all nodes")
    two.longshore("stop")
    two.longshore("start")
    assert names(two) == ["node-1", "node-2", "node-3", "node-4", "special"]
    listed = json.loads(two.longshore("node list", "--json"))["nodes"]
    assert {one["status"] for one in listed} == {"Ready"}


async def test_a_removed_node_gives_its_pods_away_and_stays_away(two: Cluster) -> None:
    two.apply(deployment("web", 4))
    await eventually(lambda: len(web_pods(two)) == 4, "four pods")
    lines = two.longshore("node remove", "node-2").splitlines()
    assert lines[0] == "node-2 is cordoned" and lines[-1] == "node-2 is gone"
    assert sum(line.endswith("is evicted") for line in lines) == 2
    await eventually(lambda: nodes_of(two, "app=web") == {"node-1"}, "all pods on node-1")
    two.longshore("stop")
    two.longshore("start")
    assert names(two) == ["node-1"]
    # What was free is given away again.
    assert json.loads(two.longshore("node add", "--json"))["added"] == ["node-2"]


def web_pods(cluster: Cluster) -> list[dict[str, Any]]:
    return cluster.running("app=web")


def test_what_is_refused(two: Cluster) -> None:
    assert "there is a node 'node-1' already" in two.longshore("node add", "node-1", code=2)
    assert "is no name for a node" in two.longshore("node add", "Node", code=2)
    assert "another part of the cluster" in two.longshore("node add", "server", code=2)
    assert "201 nodes" in two.longshore("node add", "--count", "199", code=2)
    assert "no node is called 'node-7'" in two.longshore("node remove", "node-7", code=2)
    two.longshore("node remove", "node-2")
    assert "is the only node" in two.longshore("node remove", "node-1", code=2)
    two.longshore("stop")
    assert "is stopped" in two.longshore("node add", code=2)


async def test_pods_that_nobody_makes_again_are_asked_about(two: Cluster) -> None:
    bare = deployment("bare", 1)["spec"]["template"]["spec"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "bare", "labels": {"app": "web"}},
    }
    two.apply({**pod, "spec": {**bare, "nodeName": "node-2"}})
    await eventually(lambda: len(web_pods(two)) == 1, "the pod")
    refused = two.longshore("node remove", "node-2", code=2)
    assert "cannot delete Pods that declare no controller" in refused and "default/bare" in refused
    assert not two.get("node", "node-2")["spec"].get("unschedulable")
    two.longshore("node remove", "node-2", "--force")
    assert names(two) == ["node-1"] and not web_pods(two)


async def test_a_budget_keeps_a_node(two: Cluster) -> None:
    two.apply(deployment("web", 2))
    budget = {"maxUnavailable": 0, "selector": {"matchLabels": {"app": "web"}}}
    two.apply({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
               "metadata": {"name": "web"}, "spec": budget})  # fmt: skip
    await eventually(lambda: len(nodes_of(two, "app=web")) == 2, "a pod on each node")
    refused = two.longshore("node remove", "node-2", "--wait", "1", code=2)
    assert "node-2 still has pods after 1 s" in refused and "kubectl uncordon node-2" in refused
    two.kubectl("delete", "pdb", "web")
    two.longshore("node remove", "node-2")
    assert names(two) == ["node-1"]


@pytest.mark.root
@pytest.mark.slow
async def test_real_nodes_come_and_go(short_root: Path, images: list[Path]) -> None:
    cluster = started("machines", short_root, "--nodes", "1")
    try:
        cluster.longshore("image load", str(images[2]))
        assert json.loads(cluster.longshore("node add", "--json"))["added"] == ["node-2"]
        cluster.apply(deployment("web", 4))
        await eventually(lambda: len(nodes_of(cluster, "app=web")) == 2, "pods on both nodes")
        cluster.longshore("node remove", "node-1")
        await eventually(lambda: len(web_pods(cluster)) == 4, "four pods on node-2")
        assert nodes_of(cluster, "app=web") == {"node-2"}
        roles = {one.role for one in recorded(ClusterPaths(short_root, "machines").processes)}
        left = cluster.longshore("down", "--list")
        assert roles == {"server", "node-2"} and "node-1" not in left
    finally:
        cluster.longshore("down")
