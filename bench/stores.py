"""Durable writes straight into the stores, from 1, 64 and 256 writers: SQLite, etcd by our store, and
bare etcd by a Go client beside them, in the same rounds on the same disk."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench import etcds
from bench.cluster import cpu_seconds
from bench.etcds import CLIENT_CORE, ETCD_PORT, SERVER_CORE, slowed
from bench.table import Figure

ROUNDS = 3
SECONDS = 1.5
WRITERS = (1, 64, 256)
ENDPOINT = f"127.0.0.1:{ETCD_PORT}"
# How much faster than bare etcd each store is to be, by what a synchronisation takes longer and the
# number of writers.
_SQLITE_GOALS = {(0, 64): 5.0, (4, 64): 2.0}
_ETCD_GOAL = 0.85

Told = dict[str, float]
Found = dict[tuple[str, int], list[Told]]


async def figures() -> list[Figure]:
    return await measured(0, ROUNDS)


async def measured(slower_ms: int, rounds: int) -> list[Figure]:
    """On a disk that takes so much longer."""
    found: Found = defaultdict(list)
    with TemporaryDirectory(prefix="lb-") as work:
        caller = etcds.caller(Path(work))
        for number in range(rounds):
            for writers in WRITERS:
                file = Path(work) / f"{number}-{writers}" / "store.db"
                found["SQLite", writers].append(_ours(str(file), writers, slower_ms))
            if caller is None:
                continue
            async for store, writers, told in _beside(caller, Path(work) / "data", slower_ms):
                found[store, writers].append(told)
    return [_figure(store, writers, found, slower_ms) for store, writers in found]


async def _beside(caller: Path, data: Path, slower_ms: int) -> AsyncIterator[tuple[str, int, Told]]:
    """One round on one etcd, each with keys of its own."""
    async with etcds.running(data, slower_ms) as pid:
        for writers in WRITERS:
            before = cpu_seconds(pid)
            told = _ours(ENDPOINT, writers, 0)
            yield "etcd", writers, _with_etcd(told, cpu_seconds(pid) - before)
            before = cpu_seconds(pid)
            told = _bare(caller, writers)
            yield "bare etcd", writers, _with_etcd(told, cpu_seconds(pid) - before)


def _with_etcd(told: Told, cpu_s: float) -> Told:
    return {**told, "etcd_us": cpu_s / (told["per_second"] * SECONDS) * 1e6}


def _ours(at: str, writers: int, slower_ms: int) -> Told:
    command = [sys.executable, "-m", "bench.store_load", "--at", at, "--writers", str(writers)]
    return _told([*slowed(slower_ms), *command, "--seconds", str(SECONDS)])


def _bare(caller: Path, writers: int) -> Told:
    command = [str(caller), "-endpoint", ENDPOINT, "-clients", str(writers)]
    told = _told([*command, "-seconds", str(SECONDS)])
    return {**told, "per_second": told["creates_per_second"]}


def _told(command: list[str]) -> Told:
    done = subprocess.run(
        ["taskset", "-c", str(CLIENT_CORE), *command],
        check=True, capture_output=True, text=True, cwd=etcds.HERE.parent,
    )  # fmt: skip
    told: Told = json.loads(done.stdout)
    return told


def _figure(store: str, writers: int, found: Found, slower_ms: int) -> Figure:
    rounds, bare = found[store, writers], found.get(("bare etcd", writers))
    goals = {"SQLite": _SQLITE_GOALS.get((slower_ms, writers)), "etcd": _ETCD_GOAL}
    times, rate = goals.get(store), _middle(rounds, "per_second")
    goal = times * _middle(bare, "per_second") if times and bare else None
    note = f"p99 {_middle(rounds, 'p99_ms'):.1f} ms; CPU {_middle(rounds, 'cpu_us'):.0f} us each"
    if "etcd_us" in rounds[0]:
        note += f" and {_middle(rounds, 'etcd_us'):.0f} us of etcd's, on core {SERVER_CORE}"
    if bare and store != "bare etcd":
        note += f"; {rate / _middle(bare, 'per_second'):.2f} of bare etcd"
    disk = f", fsync {slower_ms} ms slower" if slower_ms else ""
    what = f"durable writes/s, {store}, {writers} writer{'s' if writers > 1 else ''}{disk}"
    return Figure(what, rate, "/s", goal, False, note)


def _middle(rounds: list[Told], what: str) -> float:
    return median(one[what] for one in rounds)
