"""The simulator: how fast simulated time passes, in a process of its own whose hashes are not random."""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
from pathlib import Path
from time import process_time

import orjson

from bench.table import Figure
from longshore.testing.simulator.play import play
from longshore.testing.simulator.script import Step
from longshore.testing.simulator.simulate import Setting, simulate

QUIET_S = 3_000
NODES = 10
RUNS = 3


async def figures() -> list[Figure]:
    command = [sys.executable, "-m", "bench.simulator"]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    ended = subprocess.run(
        command, capture_output=True, check=True, env=environment, cwd=Path(__file__).parents[1]
    )
    quiet, busy = orjson.loads(ended.stdout)
    return [
        Figure("a quiet cluster, simulated", max(quiet), "s/s", 2_000, at_most=False,
               note=f"{NODES} nodes, per second of CPU; best of {RUNS}, worst {min(quiet):,.0f}"),
        Figure("busy scenarios of ten minutes", max(busy), "seeds/min", 50, at_most=False,
               note=f"{NODES} nodes, all faults, until rest, per minute of CPU; best of {RUNS}, "
                    f"worst {min(busy):.0f}"),
    ]  # fmt: skip


def main() -> None:
    """Measure within this process, and print it."""
    logging.disable(logging.CRITICAL)
    gc.set_threshold(100_000, 50, 100)
    simulate(0, Setting(ticks=10, nodes=2))  # schemas are compiled when they are first needed
    quiet = [_quiet() for _ in range(RUNS)]
    busy = [_busy(seed) for seed in range(RUNS)]
    print(orjson.dumps((quiet, busy)).decode())


def _quiet() -> float:
    begun = process_time()
    play([Step(float(QUIET_S), "uncordon", {"node": "node-0"})], 0, NODES, 0.0)
    taken = process_time() - begun
    gc.collect()
    return QUIET_S / taken


def _busy(seed: int) -> float:
    begun = process_time()
    simulate(seed, Setting(nodes=NODES))
    return 60 / (process_time() - begun)


if __name__ == "__main__":
    main()
