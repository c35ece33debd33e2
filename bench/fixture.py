"""The pytest fixture `kube`: how long a test waits for its cluster, in a process of its own."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from bench.table import Figure
from longshore.base.clock import SystemClock

RUNS = 5
CLUSTERS = 100


async def figures() -> list[Figure]:
    runs = [_run() for _ in range(RUNS)]
    firsts = [run["first"] for run in runs]
    fresh = [one for run in runs for one in run["fresh"]]
    imported = [run["plugin"] for run in runs]
    processor = median(run["processor"] for run in runs)
    whole = [one for run in runs for one in run["whole"]]
    each = median(run["each"] for run in runs)
    return [
        Figure("kube, the first of a session", median(firsts), "ms", 400,
               note=f"median of {RUNS}, {_range(firsts)}; {processor:.0f} ms of CPU, imports included"),
        Figure("kube, a fresh one for each test", median(fresh), "ms", 20,
               note=f"median of {len(fresh)}, best of a run "
                    f"{min(median(run['fresh']) for run in runs):.1f}; from asking to a settled cluster"),
        Figure("kube, made and ended", median(whole), "ms", note=f"median of {len(whole)}; {each:.1f} ms of CPU"),
        Figure("the plugin, where no test uses it", median(imported), "ms", 50,
               note=f"import, CPU, after pytest's own; {_range(imported)}"),
    ]  # fmt: skip


def _run() -> dict[str, Any]:
    words = [sys.executable, "-m", "bench.fixture"]
    ended = subprocess.run(words, capture_output=True, check=True, cwd=Path(__file__).parents[1])
    found: dict[str, Any] = orjson.loads(ended.stdout)
    return found


def _range(found: list[float]) -> str:
    return f"{min(found):.3g}-{max(found):.3g}"


def main() -> None:
    """Measure within this process, and print it."""
    clock = SystemClock()
    import_module("pytest")
    before = _processor_ms()
    import_module("longshore.testing.plugin")
    garbage = import_module("longshore.testing.garbage")
    plugin, processor, begun = _processor_ms() - before, _processor_ms(), clock.monotonic()
    with garbage.uncollected():
        session = import_module("longshore.testing.kube.session").SimulatedSession()
    settings = import_module("longshore.testing.kube.settings").Settings()
    with session.cluster(settings, Path()):
        first = _ms(clock.monotonic() - begun)
        processor = _processor_ms() - processor
    before = _processor_ms()
    taken = list(_fresh(session, settings, clock))
    each = (_processor_ms() - before) / CLUSTERS
    session.close()
    found = {
        "plugin": plugin, "first": first, "processor": processor, "each": each,
        "fresh": [made for made, _ in taken], "whole": [whole for _, whole in taken],
    }  # fmt: skip
    sys.stdout.buffer.write(orjson.dumps(found))


def _fresh(session: Any, settings: Any, clock: SystemClock) -> Iterator[tuple[float, float]]:
    """Milliseconds to a cluster, and to its end."""
    for _ in range(CLUSTERS):
        begun = clock.monotonic()
        with session.cluster(settings, Path()):
            made = _ms(clock.monotonic() - begun)
        yield made, _ms(clock.monotonic() - begun)


def _processor_ms() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return _ms(usage.ru_utime + usage.ru_stime)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)


if __name__ == "__main__":
    main()
