"""Durable writes straight into the stores, from 1, 64 and 256 writers: SQLite, etcd by our store, and
bare etcd by a Go client beside them, in the same rounds on the same disk."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.table import Figure
from bench.writes import CLIENT_CORE, ETCD_PORT, SERVER_CORE, etcd_caller, etcd_running

ROUNDS = 3
SECONDS = 3.0
WRITERS = (1, 64, 256)
HERE = Path(__file__).parent
ENDPOINT = f"127.0.0.1:{ETCD_PORT}"
# How much faster than bare etcd each store is to be, by the number of writers.
_SQLITE_GOALS, _ETCD_GOALS = {64: 5.0}, {1: 0.85, 64: 0.85, 256: 0.85}


async def figures() -> list[Figure]:
    found: dict[tuple[str, int], list[dict[str, float]]] = defaultdict(list)
    with TemporaryDirectory(prefix="lb-") as work:
        caller = etcd_caller(Path(work))
        for number in range(ROUNDS):
            for writers in WRITERS:
                file = Path(work) / f"{number}-{writers}" / "store.db"
                found["SQLite", writers].append(_ours(str(file), writers))
                if caller is None:
                    continue
                async with etcd_running(Path(work) / "data"):
                    found["etcd", writers].append(_ours(ENDPOINT, writers))
                async with etcd_running(Path(work) / "data"):
                    found["bare etcd", writers].append(_bare(caller, writers))
    return [_figure(store, writers, found) for store, writers in found]


def _ours(at: str, writers: int) -> dict[str, float]:
    return _told([sys.executable, "-m", "bench.store_load", "--at", at, "--writers", str(writers)])


def _bare(caller: Path, writers: int) -> dict[str, float]:
    told = _told([str(caller), "-endpoint", ENDPOINT, "-clients", str(writers)], flag="-seconds")
    return {"per_second": told["creates_per_second"]}


def _told(command: list[str], flag: str = "--seconds") -> dict[str, float]:
    done = subprocess.run(
        ["taskset", "-c", str(CLIENT_CORE), *command, flag, str(SECONDS)],
        check=True, capture_output=True, text=True, cwd=HERE.parent,
    )  # fmt: skip
    told: dict[str, float] = json.loads(done.stdout)
    return told


def _figure(
    store: str, writers: int, found: dict[tuple[str, int], list[dict[str, float]]]
) -> Figure:
    rounds = found[store, writers]
    bare = found.get(("bare etcd", writers))
    times = {"SQLite": _SQLITE_GOALS, "etcd": _ETCD_GOALS}.get(store, {}).get(writers)
    goal = times * _middle(bare, "per_second") if times and bare else None
    note = f"1.5 KB each, etcd on core {SERVER_CORE} and its caller on core {CLIENT_CORE}, no TLS"
    if "cpu_us" in rounds[0]:
        cpu, p99 = _middle(rounds, "cpu_us"), _middle(rounds, "p99_ms")
        note = f"1.5 KB each; {cpu:.0f} us of the writer's CPU each, p99 {p99:.1f} ms"
    what = f"durable writes/s, {store}, {writers} writer{'s' if writers > 1 else ''}"
    return Figure(what, _middle(rounds, "per_second"), "/s", goal, False, note)


def _middle(rounds: list[dict[str, float]], what: str) -> float:
    return median(one[what] for one in rounds)
