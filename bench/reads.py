"""A list of 10,000 pods, and what a stored pod takes of memory."""

from __future__ import annotations

import asyncio
import gc
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.cluster import Bed, bed, cpu_seconds, resident_mb
from bench.table import Figure
from longshore.base.chance import Chance
from longshore.base.clock import SystemClock
from longshore.base.users import loop_user
from longshore.core.objects import kinds
from longshore.core.objects.errors import ApiError
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Create
from longshore.core.registry.registry import Registry
from longshore.core.store.sqlite import SqliteStore

PODS = 10_000
LISTS = 20
MEMORY_FROM, MEMORY_TO = 20_000, 60_000
BATCH = 1000


async def figures() -> list[Figure]:
    with bed("--hollow") as cluster:
        listed = await _list(cluster)
    return [listed, await _memory()]


def pod(number: int) -> Doc:
    """A pod of 1.8 KB once it is stored; it waits for a node that will not come."""
    container = {
        "name": "web", "image": "nginx:1.27.1",
        "env": [{"name": f"SETTING_{n}", "value": f"value-{n}"} for n in range(4)],
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
    }  # fmt: skip
    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": f"pod-{number:06}", "namespace": "default", "labels": {"app": "web"},
                     "annotations": {"example.org/description": "a pod as a benchmark makes it " * 12}},
        "spec": {"containers": [container], "nodeSelector": {"example.org/no": "such-node"}},
    }  # fmt: skip


async def _list(cluster: Bed) -> Figure:
    client = cluster.client()
    for start in range(0, PODS, BATCH):
        answers = await client.submit(
            [Create(kinds.POD, pod(n)) for n in range(start, start + BATCH)]
        )
        assert not any(isinstance(answer, ApiError) for answer in answers)
    await SystemClock().sleep(3)
    path = "/api/v1/namespaces/default/pods"
    client.close()
    pool = cluster.pool()
    size = len((await pool.fetch("GET", path, {})).body)
    before = cpu_seconds(cluster.pid)
    for _ in range(LISTS):
        await pool.fetch("GET", path, {})
    spent = (cpu_seconds(cluster.pid) - before) / LISTS * 1000
    pool.close()
    return Figure(
        f"LIST of {PODS:,} pods",
        spent,
        "ms",
        10,
        note=f"server CPU, TLS included, {size / 1e6:.1f} MB",
    )


async def _memory() -> Figure:
    """How much a process grows from one number of pods to another."""
    clock = SystemClock()
    with TemporaryDirectory(prefix="lb-") as directory:
        registry = Registry(SqliteStore(Path(directory) / "s.db"), clock, Chance.seeded(1))
        await registry.open()
        async with asyncio.TaskGroup() as crew:
            running = crew.create_task(registry.run())
            who = loop_user("bench")
            await registry.create(who, kinds.NAMESPACE, {"metadata": {"name": "default"}})
            sizes: list[float] = []
            for end in (MEMORY_FROM, MEMORY_TO):
                for start in range(
                    end - (MEMORY_FROM if not sizes else MEMORY_TO - MEMORY_FROM), end, BATCH
                ):
                    await registry.submit(
                        who, [Create(kinds.POD, pod(n)) for n in range(start, start + BATCH)]
                    )
                gc.collect()
                sizes.append(resident_mb(os.getpid()))
            stored = registry.cache.shelf(kinds.POD).get(kinds.POD.key("default", "pod-000001"))
            assert stored is not None
            bytes_each = len(stored.raw)
            running.cancel()
        await registry.close()
    each = (sizes[1] - sizes[0]) * 1024 / (MEMORY_TO - MEMORY_FROM)
    return Figure(
        "memory of a stored pod",
        each,
        "KB",
        3,
        note=f"RSS of {bytes_each} B of JSON, store index included",
    )
