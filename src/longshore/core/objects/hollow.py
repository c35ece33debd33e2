"""How hollow nodes and the pods on them misbehave on command: the annotation longshore.io/hollow. Pure.

It holds clauses with ";" between them; S is a number of seconds. On a pod, counted from the start of a
container, or where there is none yet, of the pod:

    start after S             the node needs that long before it begins with the pod
    pull fails [N times]      no image can be had, or not before so many tries
    unready [after S | for S] the readiness probe fails, from then on or until then
    unlive after S            the liveness probe fails then, after each start
    exit CODE [after S]       its containers end
    oom [after S]             they are killed for want of memory
    stop after S | stop never containers take that long to end when they are asked to, or cannot be ended

On a Node, counted from when it was told:

    silent [for S every S]    nothing is heard of it, and it does nothing; again and again
    slow S                    it begins with whatever it hears so much later
    short of memory | short of disk | short of pids
                              it has that pressure, and takes pods as a node does that is short of it
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, TypeVar

ANNOTATION = "longshore.io/hollow"
FOREVER = float("inf")
OOM_EXIT_CODE, _EXIT_CODE_MAX = 137, 255
# A year: what takes longer is no test of anything.
_SECONDS_MAX = 366 * 86_400.0


@dataclass(frozen=True, slots=True)
class PodBehaviour:
    """Times in seconds. It is unready from unready_from_s to unready_to_s; pulls_failing tries are in
    vain; None is never."""

    start_s: float = 0.0
    pulls_failing: float = 0
    unready_from_s: float | None = None
    unready_to_s: float = FOREVER
    unlive_after_s: float | None = None
    exit_code: int | None = None
    exit_after_s: float = 0.0
    oom: bool = False
    stop_s: float = 0.0

    def unready(self, for_s: float) -> bool:
        """Whether the readiness probe fails of a container that has run so long."""
        start = self.unready_from_s
        return start is not None and start <= for_s < self.unready_to_s


@dataclass(frozen=True, slots=True)
class NodeBehaviour:
    """Of every every_s seconds the first silent_s are silent. short_of: which of the conditions
    MemoryPressure, DiskPressure and PIDPressure it has, empty for none."""

    silent_s: float = 0.0
    every_s: float = FOREVER
    slow_s: float = 0.0
    short_of: str = ""

    def silence(self, since_s: float) -> float:
        """How long the node stays silent, so many seconds after it was told; 0 if it is not."""
        into = since_s if self.every_s == FOREVER else since_s % self.every_s
        return max(self.silent_s - into, 0.0)


USUAL_POD, USUAL_NODE = PodBehaviour(), NodeBehaviour()
_T = TypeVar("_T")
_Clause = tuple[re.Pattern[str], Callable[[Any, tuple[str | None, ...]], Any]]
_S = r"(\d+(?:\.\d+)?)"


def _clause(pattern: str, change: Callable[[tuple[str | None, ...]], dict[str, Any]]) -> _Clause:
    def apply(behaviour: Any, groups: tuple[str | None, ...]) -> Any:
        return replace(behaviour, **change(groups))

    return re.compile(pattern.replace("S", _S)), apply


_POD: tuple[_Clause, ...] = (
    _clause("start after S", lambda g: {"start_s": _seconds(g[0])}),
    _clause(r"pull fails(?: (\d+) times)?", lambda g: {"pulls_failing": float(g[0] or FOREVER)}),
    _clause("unready(?: after S| for S)?", lambda g: {
        "unready_from_s": _seconds(g[0]), "unready_to_s": _seconds(g[1]) if g[1] else FOREVER,
    }),
    _clause("unlive after S", lambda g: {"unlive_after_s": _seconds(g[0])}),
    _clause(r"exit (\d+)(?: after S)?", lambda g: {
        "exit_code": _exit_code(g[0]), "exit_after_s": _seconds(g[1]),
    }),
    _clause("oom(?: after S)?", lambda g: {
        "exit_code": OOM_EXIT_CODE, "exit_after_s": _seconds(g[0]), "oom": True,
    }),
    _clause("stop (?:after S|never)", lambda g: {"stop_s": _seconds(g[0]) if g[0] else FOREVER}),
)  # fmt: skip
_NODE: tuple[_Clause, ...] = (
    _clause("silent(?: for S every S)?", lambda g: _silence(*g)),
    _clause("slow S", lambda g: {"slow_s": _seconds(g[0])}),
    _clause("short of memory", lambda g: {"short_of": "MemoryPressure"}),
    _clause("short of disk", lambda g: {"short_of": "DiskPressure"}),
    _clause("short of pids", lambda g: {"short_of": "PIDPressure"}),
)


@lru_cache(maxsize=1024)
def pod_behaviour(text: str) -> PodBehaviour:
    """What the annotation of a pod says. Raises ValueError with one sentence."""
    return _parsed(text, USUAL_POD, _POD)


@lru_cache(maxsize=1024)
def node_behaviour(text: str) -> NodeBehaviour:
    """What the annotation of a Node says. Raises ValueError with one sentence."""
    return _parsed(text, USUAL_NODE, _NODE)


def _parsed(text: str, behaviour: _T, clauses: tuple[_Clause, ...]) -> _T:
    for part in text.split(";"):
        words = " ".join(part.split())
        found = ((apply, pattern.fullmatch(words)) for pattern, apply in clauses)
        apply, match = next(((a, m) for a, m in found if m), (None, None))
        if apply is None or match is None:
            known = ", ".join(_shown(pattern) for pattern, _ in clauses)
            raise ValueError(f'"{words}" is none of: {known}')
        behaviour = apply(behaviour, match.groups())
    return behaviour


def _shown(pattern: re.Pattern[str]) -> str:
    """A clause as people write it."""
    text = pattern.pattern.replace(_S, "S").replace(r"(\d+)", "N").replace("(?:", "[")
    return text.replace(")?", "]").replace(")", "]").replace("[after S|never]", "after S|never")


def _seconds(text: str | None) -> float:
    seconds = float(text or 0)
    if seconds > _SECONDS_MAX:
        raise ValueError(f"{text} s is longer than a year")
    return seconds


def _exit_code(text: str | None) -> int:
    code = int(text or 0)
    if code > _EXIT_CODE_MAX:
        raise ValueError(f"exit code {code} is larger than {_EXIT_CODE_MAX}")
    return code


def _silence(silent: str | None, every: str | None) -> dict[str, float]:
    if silent is None:
        return {"silent_s": FOREVER}
    if _seconds(silent) >= _seconds(every):
        raise ValueError(f"silent for {silent} of every {every} s leaves nothing")
    return {"silent_s": _seconds(silent), "every_s": _seconds(every)}
