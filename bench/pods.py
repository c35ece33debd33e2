"""Real containers: one pod from POST to its process running, and a Deployment from 1 to 50."""

from __future__ import annotations

import os
from statistics import median

from bench.cluster import Bed, bed, until_gone
from bench.table import Figure
from longshore.base.clock import SystemClock
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Create, Delete, DeleteOptions, Feed, Patch

PODS = 30
REPLICAS = 50
SCALES = 5
SETTLE_S = 3.0


async def figures() -> list[Figure]:
    if os.geteuid() != 0:
        return []
    with bed("--nodes", "3") as cluster:
        cluster.load_busybox()
        latency = await _latency(cluster)
        await _until_gone(cluster, 0)
        return [latency, await _scale(cluster)]


def spec() -> Doc:
    container = {"name": "c", "image": "busybox:1.36", "command": ["sleep", "100000"]}
    return {"containers": [container], "terminationGracePeriodSeconds": 0}


async def _latency(cluster: Bed) -> Figure:
    """Seen from outside: the watch tells of the running container, so that is in the figure too."""
    client, clock = cluster.client(), SystemClock()
    _, feed = await client.list_and_watch(kinds.POD, "default")
    taken = []
    for number in range(PODS + 3):
        name = f"one-{number}"
        begun = clock.monotonic()
        await client.write(
            Create(kinds.POD, {"metadata": {"name": name, "namespace": "default"}, "spec": spec()})
        )
        await _until_running(feed, {name})
        if number >= 3:
            taken.append((clock.monotonic() - begun) * 1000)
        await clock.sleep(0.1)
    feed.close()
    for number in range(PODS + 3):
        await client.write(Delete(kinds.POD, "default", f"one-{number}", DeleteOptions(grace_s=0)))
    client.close()
    taken.sort()
    note = f"p50 of {PODS}, p90 {taken[len(taken) * 9 // 10]:.0f}; POST to Running seen on a watch"
    return Figure("one pod, created to running", median(taken), "ms", 40, note=note)


async def _until_running(feed: Feed, names: set[str]) -> None:
    waiting = set(names)
    while waiting:
        for change in await feed.next_batch():
            statuses = (change.doc.get("status") or {}).get("containerStatuses") or []
            if (
                change.type != "DELETED"
                and statuses
                and all("running" in s["state"] for s in statuses)
            ):
                waiting.discard(change.doc["metadata"]["name"])


async def _scale(cluster: Bed) -> Figure:
    client, clock = cluster.client(), SystemClock()
    labels = {"app": "many"}
    template = {"metadata": {"labels": labels}, "spec": spec()}
    await client.write(Create(kinds.DEPLOYMENT, {
        "metadata": {"name": "many", "namespace": "default"},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
    }))  # fmt: skip
    taken = []
    for _ in range(SCALES):
        await _until_count(cluster, 1)
        await _until_gone(cluster, 1)
        begun = clock.monotonic()
        await client.write(
            Patch(kinds.DEPLOYMENT, "default", "many", {"spec": {"replicas": REPLICAS}})
        )
        await _until_count(cluster, REPLICAS)
        taken.append(clock.monotonic() - begun)
        await client.write(Patch(kinds.DEPLOYMENT, "default", "many", {"spec": {"replicas": 1}}))
    client.close()
    note = f"median of {SCALES}, {min(taken):.2f}-{max(taken):.2f}; all Ready on 3 nodes"
    return Figure(f"scale 1 to {REPLICAS}, all Running", median(taken), "s", 1.5, note=note)


async def _until_gone(cluster: Bed, left: int) -> None:
    """Wait until no more than so many pods are there, terminating ones too, and the dust settles:
    what is measured is a start, not the end of what was there before."""
    client = cluster.client()
    await until_gone(client, left)
    client.close()
    await SystemClock().sleep(SETTLE_S)


async def _until_count(cluster: Bed, count: int) -> None:
    """Wait until exactly so many replicas are there and ready."""
    client = cluster.client()
    _, feed = await client.list_and_watch(kinds.DEPLOYMENT, "default")
    doc = await client.get(kinds.DEPLOYMENT, "default", "many")
    while True:
        status = doc.get("status") or {}
        if status.get("readyReplicas", 0) == count == status.get("replicas", 0):
            break
        doc = (await feed.next_batch())[-1].doc
    feed.close()
    client.close()
