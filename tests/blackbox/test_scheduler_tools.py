"""why, simulate and rebalance against a running cluster, as a user types them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .driver import Cluster, eventually, longshore

pytestmark = pytest.mark.slow

SPEC: dict[str, Any] = {
    "containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}}}]
}


def deployment(name: str, replicas: int, **spec: Any) -> dict[str, Any]:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "tools"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {**SPEC, **spec}},
        },
    }


@pytest.fixture(scope="module")
def namespace(hollow: Cluster) -> Iterator[str]:
    hollow.kubectl("create", "namespace", "tools")
    yield "tools"
    hollow.kubectl("delete", "namespace", "tools")


@pytest.fixture
def tools(hollow: Cluster, namespace: str) -> Iterator[Cluster]:
    """The hollow cluster, with an empty namespace for these tests, and all nodes open."""
    yield hollow
    hollow.kubectl("delete", "deployments,pdb", "--all", "-n", namespace)
    hollow.kubectl("delete", "pods", "--all", "--now", "-n", namespace)
    hollow.kubectl("uncordon", "node-1", "node-2", "node-3")


def ask(cluster: Cluster, *words: str, code: int = 0) -> str:
    return longshore(*words, code=code, env={"KUBECONFIG": cluster.kubeconfig})


async def nodes_of(cluster: Cluster, app: str, count: int) -> list[str]:
    """Where the pods of an app are, once all of so many are somewhere."""

    def placed() -> list[str]:
        pods = cluster.pods(f"app={app}", "tools")
        living = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        found = [pod["spec"].get("nodeName", "") for pod in living]
        return sorted(found) if len(found) == count and all(found) else []

    found: list[str] = await eventually(placed, f"{count} pods of {app} are placed")
    return found


async def test_why_tells_of_rules_and_scores(tools: Cluster) -> None:
    tools.apply(deployment("web", 1, nodeSelector={"kubernetes.io/hostname": "node-2"}))
    assert await nodes_of(tools, "web", 1) == ["node-2"]
    (pod,) = tools.pods("app=web", "tools")
    name = pod["metadata"]["name"]
    told = json.loads(ask(tools, "why", name, "-n", "tools", "--json"))
    assert told["node"] == "node-2"
    assert [(one["node"], one["fits"]) for one in told["nodes"]] == [
        ("node-2", True), ("node-1", False), ("node-3", False),
    ]  # fmt: skip
    rules = {one["rule"] for one in told["nodes"][0]["scores"]}
    assert {"NodeResourcesFit", "NodeResourcesBalancedAllocation"} <= rules
    text = ask(tools, "why", name, "-n", "tools")
    assert "node-2 (here)" in text
    assert "NodeAffinity: node(s) didn't match Pod's node affinity/selector" in text
    one = ask(tools, "why", name, "-n", "tools", "--node", "node-1")
    assert "node-1 does not take it:" in one


async def test_the_server_tells_of_its_profiles(tools: Cluster) -> None:
    told = json.loads(tools.kubectl("get", "--raw", "/configz"))
    profiles = told["kubescheduler.config.k8s.io"]["profiles"]
    assert [one["schedulerName"] for one in profiles] == ["default-scheduler"]


async def test_why_says_what_is_not_there_and_what_one_may_not_see(
    tools: Cluster, tmp_path: Path
) -> None:
    assert 'pods "none" not found' in ask(tools, "why", "none", "-n", "tools", code=2)
    tools.apply(deployment("web", 1))
    await nodes_of(tools, "web", 1)
    (pod,) = tools.pods("app=web", "tools")
    viewer = tmp_path / "viewer"
    viewer.write_text(Path(tools.kubeconfig).read_text())
    tools.kubectl("create", "serviceaccount", "viewer", "-n", "tools")
    tools.kubectl(
        "create", "rolebinding", "viewer", "-n", "tools",
        "--clusterrole=view", "--serviceaccount=tools:viewer",
    )  # fmt: skip
    token = tools.kubectl("create", "token", "viewer", "-n", "tools").strip()
    as_viewer(tools, viewer, token)
    words = ("why", pod["metadata"]["name"], "-n", "tools", "--kubeconfig", str(viewer))
    refused = ask(tools, *words, code=2)
    assert "your rights do not reach that far" in refused
    assert "cannot list resource" in refused


def as_viewer(cluster: Cluster, file: Path, token: str) -> None:
    """Make a kubeconfig that of a token's user."""
    at = ("--kubeconfig", str(file))
    cluster.kubectl("config", *at, "set-credentials", "viewer", f"--token={token}")
    cluster.kubectl("config", *at, "set-context", "--current", "--user=viewer")


async def test_simulate_takes_the_nodes_of_a_cluster(tools: Cluster, tmp_path: Path) -> None:
    tools.apply(deployment("web", 3))
    await nodes_of(tools, "web", 3)
    file = tmp_path / "more.json"
    file.write_text(json.dumps(deployment("more", 300)))
    told = json.loads(ask(tools, "simulate", "-f", str(file), "--from-cluster", "--json"))
    assert told["nodes"] == 3
    (more,) = told["workloads"]
    assert 0 < more["placed"] < 300
    (refusal,) = more["refused"]
    assert refusal["count"] == 300 - more["placed"]
    assert "Insufficient cpu" in refusal["reason"]
    assert len(tools.pods("app=more", "tools")) == 0


async def test_rebalance_moves_what_was_crowded_together(tools: Cluster) -> None:
    tools.kubectl("cordon", "node-2", "node-3")
    tools.apply(deployment("web", 6))
    assert await nodes_of(tools, "web", 6) == ["node-1"] * 6
    tools.kubectl("uncordon", "node-2", "node-3")
    plan = json.loads(ask(tools, "rebalance", "--plan", "-n", "tools", "--json"))
    assert [move["from"] for move in plan["moves"]] == ["node-1"] * 4
    assert await nodes_of(tools, "web", 6) == ["node-1"] * 6
    done = json.loads(ask(tools, "rebalance", "--apply", "-n", "tools", "--json"))
    assert [one["refusal"] for one in done["evicted"]] == [""] * 4

    def everywhere() -> bool:
        pods = tools.pods("app=web", "tools")
        return len({pod["spec"].get("nodeName") for pod in pods}) == 3

    await eventually(everywhere, "pods on all nodes")


async def test_rebalance_honours_a_budget(tools: Cluster) -> None:
    tools.kubectl("cordon", "node-2", "node-3")
    tools.apply(deployment("web", 6))
    await nodes_of(tools, "web", 6)
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "web", "namespace": "tools"},
        "spec": {"minAvailable": 6, "selector": {"matchLabels": {"app": "web"}}},
    }
    tools.apply(budget)
    tools.kubectl(
        "wait", "pdb/web", "-n", "tools", "--for=jsonpath={.status.currentHealthy}=6",
        "--timeout=120s",
    )  # fmt: skip
    tools.kubectl("uncordon", "node-2", "node-3")
    done = json.loads(ask(tools, "rebalance", "--apply", "-n", "tools", "--json"))
    assert len(done["evicted"]) == 4
    assert all("disruption budget" in one["refusal"] for one in done["evicted"])
    assert await nodes_of(tools, "web", 6) == ["node-1"] * 6


async def test_rebalance_wants_to_be_told_what_to_do(tools: Cluster) -> None:
    assert "say either --plan, or --apply" in ask(tools, "rebalance", code=2)
