"""What it takes to read 100,000 stored pods at start, and what a process that holds them weighs."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.cluster import cpu_seconds, resident_mb
from bench.reads import ROOT, fill
from bench.table import Figure
from longshore.base.chance import Chance
from longshore.base.clock import SystemClock
from longshore.base.users import loop_user
from longshore.cluster.host.process import GC_THRESHOLDS
from longshore.core.objects import kinds
from longshore.core.registry.registry import Registry
from longshore.core.store.sqlite import SqliteStore

PODS = 100_000
RUNS = 3


async def figures() -> list[Figure]:
    with TemporaryDirectory(prefix="lb-") as directory:
        path = str(Path(directory) / "s.db")
        _alone("fill", path)
        runs = sorted((_alone("open", path) for _ in range(RUNS)), key=lambda run: run["seconds"])
    found = runs[RUNS // 2]
    note = f"median of {RUNS}, {found['cpu']:.2f} s of CPU; {found['bytes']} B of JSON each"
    beside = f"while it serves, in slices of {found['slice_ms']:.0f} ms at most"
    return [
        Figure(f"reading {PODS:,} pods at start", found["seconds"], "s", 1, note=note),
        Figure("indexing them", found["index"], "s", note=beside),
        Figure(f"a registry of {PODS:,} pods", found["mb"], "MB", 400, note="RSS, after the start"),
    ]


def _alone(task: str, path: str) -> dict[str, float]:
    """A task in a process of its own."""
    words = [sys.executable, "-m", "bench.opening", task, path]
    done = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True)
    told: dict[str, float] = json.loads(done.stdout)
    return told


async def _filled(registry: Registry) -> dict[str, float]:
    await registry.open()
    async with asyncio.TaskGroup() as crew:
        running = crew.create_task(registry.run())
        who = loop_user("bench")
        await registry.create(who, kinds.NAMESPACE, {"metadata": {"name": "default"}})
        await fill(registry, 0, PODS)
        running.cancel()
    return {}


async def _opened(registry: Registry) -> dict[str, float]:
    clock = SystemClock()
    begun, before = clock.monotonic(), cpu_seconds(os.getpid())
    await registry.open()
    seconds, cpu = clock.monotonic() - begun, cpu_seconds(os.getpid()) - before
    indexing, slices = clock.monotonic(), []
    for _ in registry.cache.index():
        slices.append(clock.monotonic())
    slices.append(clock.monotonic())
    one = registry.cache.shelf(kinds.POD).get(kinds.POD.key("default", "pod-000001"))
    assert one is not None
    return {
        "seconds": seconds,
        "cpu": cpu,
        "index": slices[-1] - indexing,
        "slice_ms": max(b - a for a, b in pairwise([indexing, *slices])) * 1000,
        "mb": resident_mb(os.getpid()),
        "bytes": len(one.raw),
    }


async def _main(task: str, path: str) -> None:
    gc.set_threshold(*GC_THRESHOLDS)  # as the server process has them
    registry = Registry(SqliteStore(Path(path)), SystemClock(), Chance.seeded(1))
    print(json.dumps(await (_filled if task == "fill" else _opened)(registry)))
    await registry.close()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
