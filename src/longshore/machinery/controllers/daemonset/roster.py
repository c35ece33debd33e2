"""A DaemonSet's nodes and pods, kept up to date change by change.

Pure. Who hears of a change says which node it touches; only the lines of those are drawn anew, and
all counts are sums that a line goes into and comes out of. So with 15,000 nodes a pod's event
costs what it costs with three.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice

from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.daemonset.line import Counts, Line, Rules, Standing, line_of
from longshore.machinery.controllers.daemonset.nodes import Verdict, should_run
from longshore.machinery.controllers.daemonset.pods import node_of

# How long failed pods of a node are left alone after one of them was replaced
# (daemon_controller.go: failedPodsBackoff).
_BACKOFF_FIRST_S, _BACKOFF_MOST_S = 1.0, 900.0
# Times that are nearer to one another are one: they come out of sums.
_TICK_S = 0.001


@dataclass(slots=True)
class Backoff:
    """since: when a failed pod of the node was last replaced, in seconds since the epoch."""

    since: float
    delay_s: float

    def held_s(self, now: float) -> float:
        return max(0.0, self.since + self.delay_s - now)


@dataclass(slots=True)
class Roster:
    """of: what it was drawn for (the DaemonSet's uid and generation, the newest revision's hash).
    Lines that stand out are also found by what they stand for."""

    of: tuple[str, int, str]
    rules: Rules
    lines: dict[str, Line] = field(default_factory=dict)
    create: dict[str, None] = field(default_factory=dict)
    remove: dict[str, Line] = field(default_factory=dict)
    standing: dict[Standing, dict[str, Line]] = field(default_factory=dict)
    totals: list[int] = field(default_factory=lambda: [0] * len(Counts()))
    marks: Counter[str] = field(default_factory=Counter)
    _names: dict[str, dict[str, None]] = field(default_factory=dict)
    _touched: dict[str, None] = field(default_factory=dict)
    _verdicts: dict[str, Verdict] = field(default_factory=dict)
    _backoffs: dict[str, Backoff] = field(default_factory=dict)
    # A heap, and the earliest time in it of each node.
    _due: list[tuple[float, str]] = field(default_factory=list)
    _due_at: dict[str, float] = field(default_factory=dict)

    # ---- hearing of changes

    def touch(self, node: str) -> None:
        """Something on the node has changed, or is to be looked at anew."""
        self._touched[node] = None

    def renew(self, node: str) -> None:
        """The node itself has changed, is there, or is there no more."""
        self._verdicts.pop(node, None)
        self.touch(node)

    def note(self, pod: Doc) -> None:
        """There is a pod of the DaemonSet, in whatever state."""
        if node := node_of(pod):
            self._names.setdefault(node, {})[pod["metadata"]["name"]] = None
            self.touch(node)

    def replaced(self, node: str, now: float) -> None:
        """A failed pod of the node was replaced: the next one waits twice as long."""
        before = self._backoffs.get(node)
        if before is None or now - before.since > 2 * _BACKOFF_MOST_S:
            self._backoffs[node] = Backoff(now, _BACKOFF_FIRST_S)
        else:
            delay_s = min(2 * before.delay_s, _BACKOFF_MOST_S)
            self._backoffs[node] = Backoff(now, delay_s)

    # ---- bringing up to date

    def settle(
        self,
        node: Callable[[str], Doc | None],
        pod: Callable[[str], Doc | None],
        now: float,
        most: int,
    ) -> bool:
        """Draw the lines of what was touched, or was due, anew; at most so many, and whether more are
        left. node and pod look documents up by name; a pod that is not the DaemonSet's (any more) is
        not found."""
        while self._due and self._due[0][0] <= now:
            due = heapq.heappop(self._due)[1]
            self._due_at.pop(due, None)
            self.touch(due)
        for name in list(islice(self._touched, most)):
            del self._touched[name]
            pods = self._pods(name, pod)
            backoff = self._backoffs.get(name)
            held_s = backoff.held_s(now) if backoff is not None else 0.0
            verdict = self._verdict(name, node)
            self._set(name, line_of(self.rules, verdict, pods, held_s, now))
        return bool(self._touched)

    def wake_after_s(self, now: float) -> float | None:
        return max(0.0, self._due[0][0] - now) if self._due else None

    @property
    def counts(self) -> Counts:
        return Counts(*self.totals)

    def standing_at(self, standing: Standing) -> dict[str, Line]:
        return self.standing.get(standing, {})

    def _verdict(self, name: str, node: Callable[[str], Doc | None]) -> Verdict | None:
        """Remembered, since nodes are many and change seldom, and pods often."""
        if name not in self._verdicts:
            doc = node(name)
            if doc is None:
                return None
            self._verdicts[name] = should_run(self.rules.meant, doc)
        return self._verdicts[name]

    def _pods(self, node: str, pod: Callable[[str], Doc | None]) -> list[Doc]:
        found = {name: pod(name) for name in self._names.get(node, ())}
        there = {name: doc for name, doc in found.items() if doc is not None}
        if there:
            self._names[node] = dict.fromkeys(there)
        else:
            self._names.pop(node, None)
        return list(there.values())

    def _set(self, node: str, line: Line | None) -> None:
        before = self.lines.pop(node, None)
        if before is not None:
            self._count(before, -1)
            self.create.pop(node, None)
            self.remove.pop(node, None)
            if before.standing is not None:
                del self.standing[before.standing][node]
        if line is None:
            self._backoffs.pop(node, None)
        else:
            self.lines[node] = line
            self._count(line, 1)
            self._file(node, line)

    def _file(self, node: str, line: Line) -> None:
        if line.create:
            self.create[node] = None
        if line.remove:
            self.remove[node] = line
        if line.standing is not None:
            self.standing.setdefault(line.standing, {})[node] = line
        if line.due is not None and line.due < self._due_at.get(node, math.inf) - _TICK_S:
            self._due_at[node] = line.due
            heapq.heappush(self._due, (line.due, node))

    def _count(self, line: Line, sign: int) -> None:
        for place, number in enumerate(line.counts):
            self.totals[place] += sign * number
        for mark in line.marks:
            self.marks[mark] += sign

    def live_marks(self) -> Iterable[str]:
        """The hashes of revisions that there are pods of."""
        return [mark for mark, number in self.marks.items() if number > 0]
