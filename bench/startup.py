"""From the command to Ready nodes, and what a server then takes while nobody asks for anything."""

from __future__ import annotations

import os
from statistics import median

from bench.cluster import bed, cpu_seconds, resident_mb
from bench.table import Figure
from longshore.base.clock import SystemClock

RUNS = 5
IDLE_S = 20.0


async def figures() -> list[Figure]:
    found = [_up("up --hollow --nodes 3", 0.7, "--hollow", "--nodes", "3")]
    if os.geteuid() == 0:
        found.append(_up("up --nodes 3, real containers", 1.5, "--nodes", "3"))
    return [*found, *await _idle()]


def _up(what: str, goal_s: float, *words: str) -> Figure:
    taken = []
    for _ in range(RUNS):
        with bed(*words) as cluster:
            taken.append(cluster.seconds["total"])
    note = f"median of {RUNS}, {min(taken):.2f}-{max(taken):.2f}; to all nodes Ready"
    return Figure(what, median(taken), "s", goal_s, note=note)


async def _idle() -> list[Figure]:
    words = ("--nodes", "3") if os.geteuid() == 0 else ("--hollow", "--nodes", "3")
    clock = SystemClock()
    with bed(*words) as cluster:
        await clock.sleep(5)
        before = cpu_seconds(cluster.pid)
        await clock.sleep(IDLE_S)
        share = (cpu_seconds(cluster.pid) - before) / IDLE_S * 100
        memory = resident_mb(cluster.pid)
    return [
        Figure("idle server, memory", memory, "MB", 80, note="RSS, three nodes"),
        Figure("idle server, processor", share, "%", 1, note=f"of one core over {IDLE_S:g} s"),
    ]
