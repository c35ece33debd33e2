"""What writers feel of a backup: 100,000 objects are backed up while 1,000 writes a second go on."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import orjson

from bench.cluster import LONGSHORE, Bed, bed, run
from bench.etcds import CLIENT_CORE
from bench.http_load import config_map
from bench.table import Figure
from longshore.base.clock import SystemClock
from longshore.core.store.protocol import Write
from longshore.core.store.sqlite import SqliteStore

OBJECTS, RATE, ROUNDS = 100_000, 1000, 2
# What of each round is left out at its beginning, and how long it goes on before the backup.
SETTLE_S, BEFORE_S = 1.0, 5.0
_BATCH = 2000
_FROM = "/core/configmaps/default/"


@dataclass(frozen=True)
class Round:
    """p99 in ms of the writes before and during a backup, which took so many seconds; how many writes a
    second were acknowledged meanwhile."""

    before: float
    during: float
    seconds: float
    rate: float


async def figures() -> list[Figure]:
    with bed("--hollow") as cluster:
        place = ("--name", cluster.paths.home.name, "--root", str(cluster.paths.root))
        run("stop", *place)
        await _fill(cluster.paths.store)
        run("start", *place)
        rounds = [await _round(cluster, place) for _ in range(ROUNDS)]
    before, during, seconds, rate = (
        median(getattr(one, what) for one in rounds)
        for what in ("before", "during", "seconds", "rate")
    )
    note = f"median of {ROUNDS}; {RATE:,} writes/s, TLS, {OBJECTS:,} ConfigMaps of 1.5 KB"
    return [
        Figure("p99 of writers before a backup", before, "ms", note=note),
        Figure(
            "p99 of writers during a backup", during, "ms", 2 * before,
            note=f"the backup takes {seconds:.1f} s; {rate:,.0f} writes/s acknowledged meanwhile",
        ),
    ]  # fmt: skip


async def _fill(path: Path) -> None:
    """Straight into the store of a cluster that is stopped."""
    store = SqliteStore(path)
    await store.open(lambda *_: None)
    for first in range(0, OBJECTS, _BATCH):
        assert all(await store.commit([_write(n) for n in range(first, first + _BATCH)]))
    await store.close()


def _write(number: int) -> Write:
    doc = orjson.loads(config_map(f"filled-{number}"))
    doc["metadata"] |= {
        "namespace": "default", "uid": f"00000000-0000-4000-8000-{number:012}",
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    return Write(f"{_FROM}filled-{number}", orjson.dumps(doc), 0)


async def _round(cluster: Bed, place: tuple[str, ...]) -> Round:
    clock, load = SystemClock(), _load(cluster)
    await clock.sleep(SETTLE_S + BEFORE_S)
    began = clock.monotonic()
    file = cluster.paths.root / "backup"
    words = ["taskset", "-c", str(CLIENT_CORE), LONGSHORE, "backup", str(file), *place, "--json"]
    await asyncio.to_thread(subprocess.run, words, check=True, capture_output=True)
    ended = clock.monotonic()
    load.terminate()
    told = json.loads(await asyncio.to_thread(lambda: load.communicate()[0]))
    assert told["failures"] == 0
    settled = told["told"][0][0] + SETTLE_S
    before = [took for due, took in told["told"] if settled <= due < began]
    during = [took for due, took in told["told"] if began <= due < ended]
    seconds = ended - began
    return Round(_p99(before), _p99(during), seconds, len(during) / seconds)


def _load(cluster: Bed) -> subprocess.Popen[bytes]:
    pki = cluster.paths.pki
    words = ["--port", str(cluster.port), "--rate", str(RATE), "--core", str(CLIENT_CORE)]
    words += ["--ca", str(pki / "ca.crt"), "--cert", str(pki / "super-admin.crt")]
    words += ["--key", str(pki / "super-admin.key")]
    return subprocess.Popen(
        [sys.executable, "-m", "bench.paced_load", *words], stdout=subprocess.PIPE
    )


def _p99(seconds: list[float]) -> float:
    return sorted(seconds)[len(seconds) * 99 // 100] * 1000
