"""Who is admitted next, and whose pods make room for that. Pure.

Each queue offers what is at its head. The one is next whose queue would have the smallest dominant
share afterwards: who stays within its own quota goes before all who borrow, and those who borrow grow
evenly, by weight. A queue that wants no more than its own quota and finds it lent takes it back, if it
may: from whoever borrows most, the newest first, and only what is borrowed.

Shares of others stay as they are when one is admitted, and what does not fit will not fit after
more was admitted. So queues wait in a heap, and of workloads that are alike one answers for all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TypeAlias

from longshore.core.objects.offers import Amounts
from longshore.machinery.scheduler.queues.quota import Cohort

LotKey: TypeAlias = tuple[int, tuple[tuple[str, int], ...]]
"""What workloads of a queue have in common that wait together: priority and amounts."""
STOPPED = "the ClusterQueue is stopped"


@dataclass(frozen=True, slots=True)
class Workload:
    """What is admitted as a whole: a pod, or a gang. order is its arrival, or of an admitted one
    when that was: greater is newer."""

    key: str
    queue: str
    amounts: Amounts
    priority: int
    order: int

    @property
    def rank(self) -> tuple[int, int]:
        return -self.priority, self.order

    @property
    def lot(self) -> LotKey:
        return self.priority, tuple(sorted(self.amounts.items()))


class Line:
    """What waits in one queue, in lots."""

    def __init__(self) -> None:
        self.lots: dict[LotKey, dict[str, Workload]] = {}

    def add(self, one: Workload) -> None:
        self.lots.setdefault(one.lot, {})[one.key] = one

    def remove(self, one: Workload) -> None:
        lot = self.lots.get(one.lot)
        if lot is not None and lot.pop(one.key, None) is not None and not lot:
            del self.lots[one.lot]

    def __len__(self) -> int:
        return sum(map(len, self.lots.values()))


@dataclass(frozen=True, slots=True)
class Admissions:
    """admitted, in order, which their lines still hold. waiting: why lots of queues wait."""

    admitted: list[Workload]
    waiting: dict[tuple[str, LotKey], str]


def admit(cohort: Cohort, lines: Mapping[str, Line], most: int) -> Admissions:
    """Admit what fits, fairly, up to so many. It is used in the cohort afterwards."""
    told = Admissions([], {})
    cursors = {name: _Cursor(line) for name, line in lines.items()}
    heap: list[tuple[float, tuple[int, int], str]] = []
    for name in cursors:
        _push(heap, cohort, name, cursors[name])
    while heap and len(told.admitted) < most:
        name = heappop(heap)[2]
        cursor = cursors[name]
        head = cursor.head
        assert head is not None
        if why := _objection(cohort, head):
            told.waiting[name, head.lot] = why
            cursor.skip(everything=cohort.shares[name].strict)
        else:
            cohort.use(name, head.amounts)
            told.admitted.append(head)
            cursor.take()
        _push(heap, cohort, name, cursor)
    return told


class _Cursor:
    """How far a line has been looked at."""

    def __init__(self, line: Line) -> None:
        self._lots: dict[LotKey, tuple[Workload, Iterator[Workload]]] = {}
        for key, lot in line.lots.items():
            rest = iter(lot.values())
            self._lots[key] = (next(rest), rest)
        self.head = self._first()

    def take(self) -> None:
        """The head is done."""
        assert self.head is not None
        rest = self._lots[self.head.lot][1]
        following = next(rest, None)
        if following is None:
            del self._lots[self.head.lot]
        else:
            self._lots[following.lot] = (following, rest)
        self.head = self._first()

    def skip(self, *, everything: bool) -> None:
        """The head cannot be had, nor what is like it, nor what is behind it."""
        assert self.head is not None
        if everything:
            self._lots.clear()
        else:
            del self._lots[self.head.lot]
        self.head = self._first()

    def _first(self) -> Workload | None:
        firsts = (one for one, _ in self._lots.values())
        return min(firsts, key=lambda one: one.rank, default=None)


def _push(
    heap: list[tuple[float, tuple[int, int], str]], cohort: Cohort, name: str, cursor: _Cursor
) -> None:
    if cursor.head is not None:
        share = cohort.share(name, cursor.head.amounts)
        heappush(heap, (share, cursor.head.rank, name))


def _objection(cohort: Cohort, one: Workload) -> str:
    if cohort.shares[one.queue].stopped:
        return STOPPED
    return cohort.objection(one.queue, one.amounts)


def reclaim(cohort: Cohort, wanted: Workload, admitted: Iterable[Workload]) -> list[Workload]:
    """Whose admission ends so that a workload fits into its own queue's quota: nobody's if that
    would not do, or if it is not its own."""
    share = cohort.shares[wanted.queue]
    if share.stopped or not share.reclaims or not cohort.is_own(wanted.queue, wanted.amounts):
        return []
    tried = cohort.copy()
    left = sorted(admitted, key=lambda one: (one.priority, -one.order))
    victims: list[Workload] = []
    while tried.objection(wanted.queue, wanted.amounts):
        victim = _next_victim(tried, wanted, left)
        if victim is None:
            return []
        left.remove(victim)
        victims.append(victim)
        tried.use(victim.queue, victim.amounts, -1)
    return _needed(tried, wanted, victims)


def _next_victim(cohort: Cohort, wanted: Workload, newest: Sequence[Workload]) -> Workload | None:
    """The newest of the queue that borrows most, of those that borrow what is wanted."""
    candidates = [
        one for one in newest if one.queue != wanted.queue and _borrows(cohort, one, wanted.amounts)
    ]
    return max(candidates, key=lambda one: cohort.share(one.queue), default=None)


def _borrows(cohort: Cohort, one: Workload, wanted: Amounts) -> bool:
    return any(
        wanted.get(name) and value and cohort.borrowed(one.queue, name)
        for name, value in one.amounts.items()
    )


def _needed(cohort: Cohort, wanted: Workload, victims: Sequence[Workload]) -> list[Workload]:
    """The victims without those that could stay after all, the oldest of which stays first."""
    needed = []
    for one in reversed(victims):
        cohort.use(one.queue, one.amounts)
        if cohort.objection(wanted.queue, wanted.amounts):
            cohort.use(one.queue, one.amounts, -1)
            needed.append(one)
    return needed[::-1]
