"""Lists of 10,000 pods, who waits for them, and what a stored pod takes of memory."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.beside import Place, longest_waits
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
from longshore.doors.kit.fetch import Pool

ROOT = Path(__file__).parents[1]
PODS = 10_000
LISTS, FEW, ROWS, SECONDS = 20, 5, 5000, 4.0
PODS_PATH = "/api/v1/namespaces/default/pods"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
MEMORY_FROM, MEMORY_TO = 20_000, 60_000
BATCH = 1000


async def figures() -> list[Figure]:
    with bed("--hollow") as cluster:
        listed = await _lists(cluster)
    return [*listed, _memory()]


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


async def _lists(cluster: Bed) -> list[Figure]:
    await _create_pods(cluster)
    pool = cluster.pool()
    plain, size = await _cpu_ms(cluster, pool, LISTS, PODS_PATH, {})
    packed, packed_size = await _cpu_ms(cluster, pool, FEW, PODS_PATH, {"accept-encoding": "gzip"})
    table, _ = await _cpu_ms(cluster, pool, FEW, f"{PODS_PATH}?limit={ROWS}", {"accept": TABLE})
    place = Place(cluster.port, cluster.context(), PODS_PATH)
    waits = await longest_waits(place, pool, f"{PODS_PATH}/pod-000001", SECONDS)
    pool.close()
    told = "server CPU, TLS included"
    middle = f"{len(waits)} GETs, half of them within {median(waits) * 1000:.2f} ms"
    return [
        Figure(f"LIST of {PODS:,} pods", plain, "ms", 10, note=f"{told}, {size / 1e6:.1f} MB"),
        Figure(
            f"LIST of {PODS:,} pods, gzip",
            packed,
            "ms",
            note=f"{told}, {packed_size / 1e6:.1f} MB; none has changed since the one before",
        ),
        Figure(f"table of {ROWS:,} pods", table, "ms", 60, note=told),
        Figure("longest GET beside lists", waits[-1] * 1000, "ms", 5, note=middle),
    ]


async def _create_pods(cluster: Bed) -> None:
    client = cluster.client()
    for start in range(0, PODS, BATCH):
        answers = await client.submit(
            [Create(kinds.POD, pod(n)) for n in range(start, start + BATCH)]
        )
        assert not any(isinstance(answer, ApiError) for answer in answers)
    await SystemClock().sleep(3)
    client.close()


async def _cpu_ms(
    cluster: Bed, pool: Pool, times: int, path: str, headers: dict[str, str]
) -> tuple[float, int]:
    """The server's CPU for one answer, in ms, and the answer's size."""
    size = len((await pool.fetch("GET", path, headers)).body)
    before = cpu_seconds(cluster.pid)
    for _ in range(times):
        await pool.fetch("GET", path, headers)
    return (cpu_seconds(cluster.pid) - before) / times * 1000, size


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
            await fill(registry, 0, MEMORY_FROM)
            before = resident_mb(os.getpid())
            await fill(registry, MEMORY_FROM, MEMORY_TO)
            grown = resident_mb(os.getpid()) - before
            stored = registry.cache.shelf(kinds.POD).get(kinds.POD.key("default", "pod-000001"))
            assert stored is not None
            running.cancel()
        await registry.close()
    return {"kb": grown * 1024 / (MEMORY_TO - MEMORY_FROM), "bytes": len(stored.raw)}


async def fill(registry: Registry, first: int, end: int) -> None:
    for start in range(first, end, BATCH):
        creates = [Create(kinds.POD, pod(n)) for n in range(start, start + BATCH)]
        await registry.submit(loop_user("bench"), creates)
    gc.collect()


if __name__ == "__main__":
    print(json.dumps(asyncio.run(growth())))
