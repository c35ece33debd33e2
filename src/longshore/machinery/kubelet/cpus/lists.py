"""Sets of CPUs as the kernel writes them: "0-2,7" (cpuset(7), list format). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby


def parse_cpus(text: str) -> frozenset[int]:
    """Raises ValueError with one sentence."""
    found: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        if not first.isdecimal() or not (last or first).isdecimal():
            raise ValueError(f'"{text}" is no list of CPUs: want a form such as 0-2,7')
        found |= set(range(int(first), int(last or first) + 1))
    return frozenset(found)


def cpus_text(cpus: Iterable[int]) -> str:
    """The shortest list; empty for no CPU."""
    runs = groupby(enumerate(sorted(cpus)), lambda pair: pair[1] - pair[0])
    ends = [[cpu for _, cpu in run] for _, run in runs]
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in ends)
