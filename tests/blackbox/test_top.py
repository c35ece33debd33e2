"""kubectl top: of real containers as the kernel counts them, of hollow ones as they are said to use."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from .driver import Cluster, eventually

pytestmark = [pytest.mark.root, pytest.mark.slow]

_BUSY = ["/bin/sh", "-c", "while true; do for n in 1 2 3 4 5 6 7 8; do :; done; done"]


def pod(name: str, image: str, **container: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "top"}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "main", "image": image, **container}],
        },
    }


def top(cluster: Cluster, *words: str) -> dict[str, list[str]]:
    """Rows of kubectl top by name; none while there is nothing to be shown."""
    done = cluster.kubectl_run("top", *words, "--no-headers")
    return {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}


async def test_nodes_and_pods_of_real_containers(cluster: Cluster) -> None:
    limits = {"limits": {"cpu": "100m", "memory": "64Mi"}}
    cluster.apply(pod("busy", "busybox:1.36", command=_BUSY, resources=limits))
    try:
        await eventually(lambda: len(cluster.running("app=top")) == 1, "the pod runs")
        await eventually(lambda: len(top(cluster, "nodes")) == 3, "all nodes were measured")
        shown = await eventually(lambda: top(cluster, "pods", "-l", "app=top"), "the pod was, too")
        cores, memory = shown["busy"]
        # It would use a whole core if it was let; the first moment of its life counts in full.
        assert 10 <= int(cores.removesuffix("m")) <= 800
        assert int(memory.removesuffix("Mi")) < 64
        assert "busy" in cluster.kubectl("top", "pods", "--containers", "-l", "app=top")
        await check_raw_measures(cluster)
    finally:
        cluster.kubectl("delete", "pod", "busy", "--now")


async def check_raw_measures(cluster: Cluster) -> None:
    """What collectors of metrics ask a node for, through the server."""
    node = cluster.kubectl("get", "pod", "busy", "-o", "jsonpath={.spec.nodeName}")

    def raw(path: str) -> str:
        return cluster.kubectl("get", "--raw", f"/api/v1/nodes/{node}/proxy/{path}")

    busy = 'container="main",id="[^"]*",image="[^"]*busybox:1.36",name="[0-9a-f]{64}",namespace="default",pod="busy"'
    cadvisor = raw("metrics/cadvisor")
    assert re.search(f'container_cpu_usage_seconds_total{{{busy},cpu="total"}} ', cadvisor)
    received = (
        r'container_network_receive_bytes_total{container="",[^}]*pod="busy",interface="eth0"} '
    )
    assert re.search(received, cadvisor)
    told = 'container_memory_working_set_bytes{container="main",namespace="default",pod="busy"}'
    assert told in raw("metrics/resource")
    assert "kubelet_running_pods " in raw("metrics")
    summary = json.loads(raw("stats/summary"))
    (pod,) = [one for one in summary["pods"] if one["podRef"]["name"] == "busy"]
    assert pod["containers"][0]["rootfs"]["capacityBytes"] > 0
    assert pod["network"]["name"] == "eth0"
    assert pod["ephemeral-storage"]["usedBytes"] >= 0
    assert "busy" in [one["metadata"]["name"] for one in json.loads(raw("pods"))["items"]]
    assert json.loads(raw("configz"))["kubeletconfig"]["containerLogMaxSize"] == "10Mi"
    assert raw("healthz") == "ok"


async def test_nodes_and_pods_of_hollow_nodes(hollow: Cluster) -> None:
    requests = {"requests": {"cpu": "2", "memory": "1Gi"}}
    hollow.apply(pod("idle", "registry.test/app:1", resources=requests))
    try:
        await eventually(lambda: len(hollow.running("app=top")) == 1, "the pod runs")
        shown = await eventually(lambda: top(hollow, "pods", "-l", "app=top"), "it is measured")
        assert shown["idle"] == ["1000m", "512Mi"]
        await eventually(lambda: len(top(hollow, "nodes")) == 3, "all nodes were measured")
        nodes = top(hollow, "nodes")
        assert all(re.fullmatch(r"\d+%", row[1]) for row in nodes.values())
    finally:
        hollow.kubectl("delete", "pod", "idle", "--now")
