"""`python -m bench [--json] [CASE ...]`: measure, print a table (or JSON), write bench/results/TIME.json."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import orjson
import uvloop

from bench import (
    backup,
    failover,
    fixture,
    fleet,
    interactive,
    jobs,
    loop_writes,
    loops,
    nodes,
    opening,
    permission,
    pods,
    policies,
    reads,
    runtime,
    scheduler,
    simulator,
    slow_disk,
    startup,
    stores,
    watches,
    writes,
)
from bench.table import Figure, render
from longshore import __version__
from longshore.base.clock import SystemClock, rfc3339

CASES = {
    "startup": startup,
    "opening": opening,
    "writes": writes,
    "stores": stores,
    "slow-disk": slow_disk,
    "backup": backup,
    "reads": reads,
    "watches": watches,
    "pods": pods,
    "nodes": nodes,
    "runtime": runtime,
    "fleet": fleet,
    "jobs": jobs,
    "loops": loops,
    "loop-writes": loop_writes,
    "scheduler": scheduler,
    "interactive": interactive,
    "permission": permission,
    "failover": failover,
    "fixture": fixture,
    "simulator": simulator,
    "policies": policies,
}
RESULTS = Path(__file__).parent / "results"


async def main(names: list[str]) -> None:
    as_json = "--json" in names
    names = [name for name in names if name != "--json"]
    unknown = [name for name in names if name not in CASES]
    if unknown:
        raise SystemExit(f"no such case: {', '.join(unknown)}; there are {', '.join(CASES)}")
    found: list[Figure] = []
    for name in names or list(CASES):
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        found += await CASES[name].figures()
    path = write(found)
    print(path.read_text() if as_json else f"\n{render(found)}\n\nwritten to {path}")


def write(found: list[Figure]) -> Path:
    """The figures with the conditions that they were measured under."""
    at = rfc3339(SystemClock().now())
    content = {
        "measured_at": at,
        "longshore": __version__,
        "python": platform.python_version(),
        "machine": {"kernel": platform.release(), "processor": _processor()},
        "figures": [figure.as_dict() for figure in found],
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{at.replace(':', '')}.json"
    path.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))
    return path


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else platform.processor()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1:]))
