"""10,000 pods onto 1,000 hollow nodes: created, scheduled and bound, all of it durable."""

from __future__ import annotations

import asyncio
import gc
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.cluster import cpu_seconds
from bench.reads import BATCH
from bench.table import Figure
from longshore.base.chance import Chance
from longshore.base.clock import SystemClock
from longshore.base.users import loop_user
from longshore.cluster.process import GC_THRESHOLDS
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.admission.surroundings import AdmissionConfig
from longshore.core.registry.client import Create
from longshore.core.registry.inprocess import InProcess
from longshore.core.registry.registry import Registry, RegistryConfig
from longshore.core.store.sqlite import SqliteStore
from longshore.machinery.kubelet.hollow import HollowNodes, hollow_configs
from longshore.machinery.loop.recorder import Journal
from longshore.machinery.scheduler.run import Scheduler

NODES, PODS = 1000, 10_000
CAPACITY = {"cpu": "32", "memory": "256Gi", "pods": "110"}


async def figures() -> list[Figure]:
    gc.set_threshold(*GC_THRESHOLDS)  # as the server process has them
    clock, chance = SystemClock(), Chance.seeded(1)
    with TemporaryDirectory(prefix="lb-") as directory:
        # There is no controller here that takes a new node's taint off.
        config = RegistryConfig(admission=AdmissionConfig(disable=("TaintNodesByCondition",)))
        registry = Registry(SqliteStore(Path(directory) / "s.db"), clock, chance, config)
        await registry.open()
        client = InProcess(registry, loop_user("bench"))
        async with asyncio.TaskGroup() as crew:
            journal = Journal(client, clock)
            names = [f"node-{number}" for number in range(NODES)]
            nodes = HollowNodes(hollow_configs(names, CAPACITY), client, clock)
            scheduler = Scheduler(registry.cache, client, clock, chance, journal)
            tasks = [crew.create_task(registry.run())]
            for name in ("default", "kube-node-lease"):
                await client.write(Create(kinds.NAMESPACE, {"metadata": {"name": name}}))
            tasks += [crew.create_task(run()) for run in (journal.run, nodes.run, scheduler.run)]
            await clock.sleep(3)
            rate, running, spent = await _measure(registry, client, clock)
            for task in tasks:
                task.cancel()
        await registry.close()
    note = (
        f"onto {NODES:,} hollow nodes, created to bound, durable, with Events: {spent:.0f} us of CPU "
        f"each; {running:,.0f}/s to Running"
    )
    return [Figure(f"{PODS:,} pods scheduled", rate, "pods/s", 5000, False, note)]


async def _measure(
    registry: Registry, client: InProcess, clock: SystemClock
) -> tuple[float, float, float]:
    """Pods per second from the first create to the last bind and to the last one running; and the
    CPU that this process spent until the last was bound, in microseconds a pod."""
    feed = registry.cache.subscribe(kinds.POD)
    begun = clock.monotonic()
    bound: set[str] = set()
    running: set[str] = set()
    bound_s = spent = 0.0
    pid, before = os.getpid(), cpu_seconds(os.getpid())

    async def create() -> None:
        for start in range(0, PODS, BATCH):
            await client.submit(
                [Create(kinds.POD, pod(n, PODS)) for n in range(start, start + BATCH)]
            )

    async with asyncio.TaskGroup() as crew:
        crew.create_task(create())
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
