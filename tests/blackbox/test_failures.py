"""Agents and servers that are killed, stopped and started again."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from longshore.cluster.config import ClusterPaths
from longshore.cluster.host.processes import Process, recorded

from .driver import Cluster, eventually

pytestmark = [pytest.mark.root, pytest.mark.slow]


def process(cluster: Cluster, role: str) -> Process:
    (found,) = [
        p for p in recorded(ClusterPaths(cluster.root, cluster.name).processes) if p.role == role
    ]
    return found


def deployment(name: str, replicas: int, **spec: Any) -> dict[str, Any]:
    labels = {"app": name}
    container = {"name": "c", "image": "busybox:1.36", "command": ["sh", "-c", "exec sleep 100000"]}
    pod = {"containers": [container], "terminationGracePeriodSeconds": 1, **spec}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def started_at(pod: dict[str, Any]) -> str:
    state: str = pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]
    return state


async def test_an_agent_that_starts_again_finds_its_containers_running(cluster: Cluster) -> None:
    cluster.apply(deployment("adopted", 3))
    await eventually(lambda: len(cluster.running("app=adopted")) == 3, "three replicas")
    before = {pod["metadata"]["name"]: started_at(pod) for pod in cluster.running("app=adopted")}
    process(cluster, "node-2").kill(signal.SIGKILL)
    cluster.longshore("start")
    await eventually(lambda: len(cluster.running("app=adopted")) == 3, "three replicas again")
    after = {pod["metadata"]["name"]: started_at(pod) for pod in cluster.running("app=adopted")}
    assert after == before
    restarts = [
        pod["status"]["containerStatuses"][0]["restartCount"]
        for pod in cluster.running("app=adopted")
    ]
    assert restarts == [0, 0, 0]
    cluster.kubectl("delete", "deployment", "adopted")


def published() -> dict[str, Any]:
    """A pod on node-2 with two ports of its node, one of which the scheduler chooses."""
    asked = {"scheduling.longshore.io/dynamic-ports": "free"}
    container = {
        "name": "c", "image": "busybox:1.36", "command": ["httpd", "-f", "-p", "80", "-h", "/etc"],
        "ports": [
            {"name": "fixed", "containerPort": 80, "hostPort": 8180},
            {"name": "free", "containerPort": 80},
        ],
    }  # fmt: skip
    spec = {"nodeSelector": {"kubernetes.io/hostname": "node-2"}, "containers": [container]}
    metadata = {"name": "published", "labels": {"app": "published"}, "annotations": asked}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


async def test_ports_of_a_node_lead_to_its_pods_with_another_agent_too(cluster: Cluster) -> None:
    cluster.apply(published())
    await eventually(lambda: cluster.running("app=published"), "the pod")
    pod = cluster.get("pod", "published")
    chosen = json.loads(pod["metadata"]["annotations"]["scheduling.longshore.io/host-ports"])

    def told() -> list[str]:
        pages = [
            f"http://{pod['status']['hostIP']}:{port}/hostname" for port in (8180, chosen["free"])
        ]
        return [cluster.in_lan("wget", "-q", "-O", "-", page).stdout for page in pages]

    await eventually(lambda: told() == ["published\n"] * 2, "both answer")
    process(cluster, "node-2").kill(signal.SIGKILL)
    cluster.longshore("start")
    await eventually(lambda: told() == ["published\n"] * 2, "both answer again")
    cluster.kubectl("delete", "pod", "published", "--grace-period=1")
    await eventually(lambda: told() == ["", ""], "nobody answers")


async def test_a_server_that_starts_again_finds_everything_as_it_was(cluster: Cluster) -> None:
    cluster.apply(deployment("unmoved", 3))
    await eventually(lambda: len(cluster.running("app=unmoved")) == 3, "three replicas")
    before = {pod["metadata"]["name"]: started_at(pod) for pod in cluster.running("app=unmoved")}
    process(cluster, "server").kill(signal.SIGKILL)
    assert "refused" in cluster.kubectl("get", "nodes", code=1)
    cluster.longshore("start")
    await eventually(lambda: len(cluster.running("app=unmoved")) == 3, "three replicas again")
    after = {pod["metadata"]["name"]: started_at(pod) for pod in cluster.running("app=unmoved")}
    assert after == before
    cluster.kubectl("scale", "deployment/unmoved", "--replicas=5")
    await eventually(lambda: len(cluster.running("app=unmoved")) == 5, "agents that take orders")
    cluster.kubectl("delete", "deployment", "unmoved")


async def test_pods_of_a_dead_agents_node_move(cluster: Cluster) -> None:
    tolerations = [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1}
        for key in ("node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready")
    ]
    cluster.apply(deployment("mover", 3, tolerations=tolerations))
    await eventually(lambda: len(cluster.running("app=mover")) == 3, "three replicas")
    process(cluster, "node-3").kill(signal.SIGKILL)

    def elsewhere() -> bool:
        nodes = [pod["spec"]["nodeName"] for pod in cluster.running("app=mover")]
        return len(nodes) == 3 and "node-3" not in nodes

    await eventually(elsewhere, "all replicas on other nodes")
    assert "NotReady" in cluster.kubectl("get", "node", "node-3")
    cluster.longshore("start")
    await eventually(
        lambda: "NotReady" not in cluster.kubectl("get", "node", "node-3"), "node-3 back"
    )
    cluster.kubectl("delete", "deployment", "mover")


async def test_stop_and_start_keep_every_object(cluster: Cluster) -> None:
    cluster.kubectl("create", "configmap", "kept", "--from-literal=a=b")
    cluster.apply(deployment("returning", 2))
    await eventually(lambda: len(cluster.running("app=returning")) == 2, "two replicas")
    before = cluster.get("configmap", "kept")
    cluster.longshore("stop")
    refused = cluster.kubectl("get", "nodes", code=1)
    assert "refused" in refused
    cluster.longshore("start")
    assert cluster.get("configmap", "kept") == before
    await eventually(lambda: len(cluster.running("app=returning")) == 2, "two replicas again")
    cluster.kubectl("delete", "deployment", "returning")
    cluster.kubectl("delete", "configmap", "kept")
