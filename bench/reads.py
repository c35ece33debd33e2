"""A list of 10,000 pods, and what a stored pod takes of memory."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
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

ROOT = Path(__file__).parents[1]
PODS = 10_000
LISTS = 20
MEMORY_FROM, MEMORY_TO = 20_000, 60_000
BATCH = 1000


async def figures() -> list[Figure]:
    with bed("--hollow") as cluster:
        listed = await _list(cluster)
    return [listed, _memory()]


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


def _memory() -> Figure:
    """Measured in a process of its own: another case's leftovers would be filled up first."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.reads"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    told = json.loads(done.stdout)
    note = f"RSS of {told['bytes']} B of JSON, store index included"
    return Figure("memory of a stored pod", told["kb"], "KB", 3, note=note)


async def growth() -> dict[str, float]:
    """How much a process grows with each pod, from one number of pods to another."""
    clock, who = SystemClock(), loop_user("bench")
    with TemporaryDirectory(prefix="lb-") as directory:
        registry = Registry(SqliteStore(Path(directory) / "s.db"), clock, Chance.seeded(1))
        await registry.open()
        async with asyncio.TaskGroup() as crew:
            running = crew.create_task(registry.run())
            await registry.create(who, kinds.NAMESPACE, {"metadata": {"name": "default"}})
            await _fill(registry, 0, MEMORY_FROM)
            before = resident_mb(os.getpid())
            await _fill(registry, MEMORY_FROM, MEMORY_TO)
            grown = resident_mb(os.getpid()) - before
            stored = registry.cache.shelf(kinds.POD).get(kinds.POD.key("default", "pod-000001"))
            assert stored is not None
            running.cancel()
        await registry.close()
    return {"kb": grown * 1024 / (MEMORY_TO - MEMORY_FROM), "bytes": len(stored.raw)}


async def _fill(registry: Registry, first: int, end: int) -> None:
    for start in range(first, end, BATCH):
        creates = [Create(kinds.POD, pod(n)) for n in range(start, start + BATCH)]
        await registry.submit(loop_user("bench"), creates)
    gc.collect()


if __name__ == "__main__":
    print(json.dumps(asyncio.run(growth())))
