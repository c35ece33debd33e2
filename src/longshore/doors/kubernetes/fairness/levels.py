"""Priority levels: what their requests hold, and what they may begin in one turn of the loop. Pure.

A seat is the right to be at work, as in KEP-1040. The server has one thread, so two things are
bounded. Seats in use bound what waits for the disk or a client at the same time; a level may use
more than its own of them when others leave theirs idle. And the work that a level begins in one
turn of the loop is bounded by its nominal seats, a plain read for each, borrowed ones or not: as a
read is done at once, only that keeps a flood from making all others wait until a long turn is over.

Borrowing is plain: what levels lend is one pool. Nobody borrows while a level that has less than
its nominal seats waits for one. (Upstream divides the pool anew every 10 seconds, by demand.)
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from longshore.core.objects.kinds import Doc
from longshore.doors.kubernetes.fairness.allotment import Allotment, allot
from longshore.doors.kubernetes.fairness.queues import Queues

# As upstream: a list holds a seat for every 100 objects (of ours, 10 plain reads), up to 10 seats.
_WORK_PER_SEAT = 10
_SEATS_MAX = 10
_NO_ROOM = (1, 1, 0)
_BOUNDLESS = Allotment(sys.maxsize, sys.maxsize, sys.maxsize)


class Level:
    """One priority level. used are the seats in use, begun is the work that was begun in this turn
    of the loop. A level that refuses what finds no seat has a queue in which there is no room."""

    __slots__ = (
        "begun", "exempt", "most", "name", "nominal", "own", "pool", "queues", "rejects", "used",
    )  # fmt: skip

    def __init__(self, name: str, pool: Pool) -> None:
        self.name = name
        self.pool = pool
        self.exempt = self.rejects = False
        self.used = self.begun = self.nominal = self.own = self.most = 0
        self.queues = Queues(*_NO_ROOM)

    @property
    def deprived(self) -> bool:
        """Whether requests wait for seats that are the level's by right."""
        return self.queues.waiting > 0 and self.used < self.nominal

    @property
    def borrowed(self) -> int:
        """How many seats of the pool the level uses, its own part of it included."""
        return max(0, self.used - self.own)

    def width(self, work: int) -> int:
        """The seats for so much work; never more than the level has."""
        return min(1 + work // _WORK_PER_SEAT, _SEATS_MAX, self.nominal or 1)

    def fits(self, seats: int, work: int) -> bool:
        """Whether a request may begin now. One always may, so nothing waits for ever."""
        if self.begun and self.begun + work > self.nominal:
            return False
        after = self.used + seats
        if after <= self.own or not self.used:
            return True
        if after > self.most or after - max(self.used, self.own) > self.pool.free:
            return False
        return after <= self.nominal or not self.pool.is_claimed(self)

    def take(self, seats: int, work: int) -> None:
        before = self.used
        self.begun += work
        self.used = after = before + seats
        if after > self.own:
            self.pool.free -= after - max(before, self.own)

    def give(self, seats: int) -> None:
        before = self.used
        self.used = after = before - seats
        if before > self.own:
            self.pool.free += before - max(after, self.own)

    def shape(self, spec: Doc, allotment: Allotment) -> None:
        """As a PriorityLevelConfiguration's spec says. Whoever waits already waits on."""
        response = spec.get("limited", {}).get("limitResponse", {})
        queuing = response.get("queuing")
        self.exempt = spec.get("type") == "Exempt"
        self.rejects = queuing is None
        self.nominal, self.own, self.most = allotment.nominal, allotment.own, allotment.most
        self.queues.reshape(*(_NO_ROOM if queuing is None else _form(queuing)))


def _form(queuing: Doc) -> tuple[int, int, int]:
    return queuing["queues"], queuing["handSize"], queuing["queueLengthLimit"]


class Pool:
    """All levels of a server with so many seats, and what they lend one another."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.free = 0
        self.levels: dict[str, Level] = {}
        # Those that somebody waits in.
        self.hungry: set[Level] = set()

    def is_claimed(self, by: Level) -> bool:
        """Whether a level other than this one waits for what is its by right."""
        return any(level is not by and level.deprived for level in self.hungry)

    def configure(self, docs: Mapping[str, Doc]) -> None:
        """Take over the PriorityLevelConfigurations that there are now, by name. Of one that is
        gone nothing is left but its requests, which go on with all the seats they want."""
        allotments = allot(docs, self.total)
        for name in self.levels.keys() - docs.keys():
            self.levels.pop(name).shape({}, _BOUNDLESS)
        for name, doc in docs.items():
            level = self.levels.setdefault(name, Level(name, self))
            level.shape(doc["spec"], allotments[name])
        self.free = sum(
            level.nominal - level.own - level.borrowed for level in self.levels.values()
        )
