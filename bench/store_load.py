"""One process that writes to one store for a while and prints what it took, as JSON.

So many writers that each wait for their write before the next one are, behind the commit queue,
batches of that size one after another: this commits those.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from pathlib import Path
from statistics import quantiles

import uvloop

from longshore.base.clock import SystemClock
from longshore.core.store.etcd.members import Members
from longshore.core.store.etcd.store import EtcdStore, Naming
from longshore.core.store.protocol import Store, Write
from longshore.core.store.sqlite import SqliteStore

VALUE = b"x" * 1500


def opened(at: str) -> Store:
    """The store at PATH, or a place of its own at HOST:PORT of an etcd."""
    if "/" in at:
        return SqliteStore(Path(at))
    clock = SystemClock()
    return EtcdStore(Members([at], clock), clock, Naming(f"/bench-{os.getpid()}"))


async def load(at: str, writers: int, seconds: float) -> dict[str, float]:
    store, clock = opened(at), SystemClock()
    await store.open(lambda *_: None)
    took: list[float] = []
    begun, cpu = clock.monotonic(), _cpu_s()
    while (now := clock.monotonic()) < begun + seconds:
        batch = [Write(f"/bench/{n}/{len(took)}", VALUE, 0) for n in range(writers)]
        assert all(await store.commit(batch))
        took.append(clock.monotonic() - now)
    count, elapsed = len(took) * writers, clock.monotonic() - begun
    cpu = _cpu_s() - cpu
    await store.close()
    return {
        "per_second": count / elapsed,
        "cpu_us": cpu / count * 1e6,
        "p99_ms": quantiles(took, n=100)[98] * 1e3,
    }


def _cpu_s() -> float:
    """Of all threads of this process."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--at", required=True)
    parser.add_argument("--writers", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    asked = parser.parse_args()
    print(json.dumps(await load(asked.at, asked.writers, asked.seconds)))


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
