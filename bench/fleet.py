"""10,000 pods onto 1,000 hollow nodes: created, scheduled and bound, all of it durable."""

from __future__ import annotations

import asyncio
import os

from bench.cluster import cpu_seconds
from bench.table import Figure
from longshore.cluster.bench.control_plane import (
    ControlPlane,
    control_plane,
    hollow_nodes,
    scheduler,
)
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Create
from longshore.machinery.kubelet.hollow.nodes import hollow_configs

NODES, PODS = 1000, 10_000
CAPACITY = {"cpu": "32", "memory": "256Gi", "pods": "110"}


async def figures() -> list[Figure]:
    nodes = hollow_configs([f"node-{number}" for number in range(NODES)], CAPACITY)
    async with control_plane(hollow_nodes(nodes), scheduler) as plane:
        await plane.clock.sleep(3)
        rate, running, spent = await _measure(plane)
    note = (
        f"onto {NODES:,} hollow nodes, created to bound, durable, with Events: {spent:.0f} us of CPU "
        f"each; {running:,.0f}/s to Running"
    )
    return [Figure(f"{PODS:,} pods scheduled", rate, "pods/s", 5000, False, note)]


async def _measure(plane: ControlPlane) -> tuple[float, float, float]:
    """Pods per second from the first create to the last bind and to the last one running; and the
    CPU that this process spent until the last was bound, in microseconds a pod."""
    clock, feed = plane.clock, plane.cache.subscribe(kinds.POD)
    begun = clock.monotonic()
    bound: set[str] = set()
    running: set[str] = set()
    bound_s = spent = 0.0
    pid, before = os.getpid(), cpu_seconds(os.getpid())

    async with asyncio.TaskGroup() as crew:
        crew.create_task(plane.submit([Create(kinds.POD, pod(n, PODS)) for n in range(PODS)]))
        while len(running) < PODS:
            for frame in await feed.next_batch():
                name, doc = frame.stored.name, frame.doc
                if doc["spec"].get("nodeName"):
                    bound.add(name)
                if doc["status"].get("phase") == "Running":
                    running.add(name)
            if len(bound) == PODS and not bound_s:
                bound_s, spent = clock.monotonic() - begun, cpu_seconds(pid) - before
    feed.close()
    return PODS / bound_s, PODS / (clock.monotonic() - begun), spent / PODS * 1e6


def pod(number: int, pods: int) -> Doc:
    """Ten ReplicaSets' worth of pods, as a controller makes them."""
    owner = number * 10 // pods
    container = {
        "name": "web", "image": "nginx:1.27.1",
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
    }  # fmt: skip
    reference = {
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"set-{owner}",
        "uid": f"00000000-0000-4000-8000-{owner:012}", "controller": True,
    }  # fmt: skip
    metadata = {
        "name": f"pod-{number:06}", "namespace": "default", "labels": {"app": f"set-{owner}"},
        "ownerReferences": [reference],
    }  # fmt: skip
    return {"metadata": metadata, "spec": {"containers": [container]}}
