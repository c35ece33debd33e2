"""Priority and fairness as the door sees it (KEP-1040): every request has a lane, and most hold
seats from when they are let in until they are answered."""

from __future__ import annotations

from collections.abc import Iterator

from longshore.base.clock import Clock
from longshore.base.users import User
from longshore.core.objects.errors import BadRequest
from longshore.core.registry.reads import Reader
from longshore.doors.kit.http import AnyReply, Request, SlicedReply
from longshore.doors.kubernetes.deadlines import LONGEST_S, timeout_of
from longshore.doors.kubernetes.fairness.classifier import Classifier, Lane
from longshore.doors.kubernetes.fairness.gate import Gate
from longshore.doors.kubernetes.fairness.levels import Pool
from longshore.doors.kubernetes.fairness.measures import Measures
from longshore.doors.kubernetes.fairness.work import work_of
from longshore.doors.kubernetes.translate import Target

# What enter() says of a request that has to wait.
MUST_WAIT = -1


class Fairness:
    """seats is what the server has in all; with none, nobody is held and answers only tell how
    their requests were classified."""

    def __init__(self, registry: Reader, clock: Clock, seats: int) -> None:
        pool = Pool(seats)
        self._registry = registry
        self._measures = Measures(pool)
        self._gate = Gate(pool, self._measures, clock)
        self._classifier = Classifier(registry, pool, self._measures)

    async def run(self) -> None:
        """Mind the time of those who wait, until cancelled."""
        await self._gate.run()

    def lane(self, who: User, request: Request, target: Target | None) -> Lane:
        """As the flow schemas and priority levels of this moment have it."""
        if self._classifier.changed():
            self._gate.look_again()
        return self._classifier.lane(who, request, target)

    def enter(self, lane: Lane, request: Request, target: Target | None) -> int:
        """The seats that a request holds now: 0 for one that is not held, or MUST_WAIT."""
        if lane.series is None:
            return 0
        if lane.level is None:
            lane.series.dispatched += 1
            return 0
        work = self._work(lane, request, target) if lane.verb else 1
        return self._gate.enter(lane.level, lane.series, work) or MUST_WAIT

    async def wait(self, lane: Lane, request: Request, target: Target | None) -> int:
        """The seats of a request that had to wait. Raises TooManyRequests."""
        assert lane.level is not None and lane.series is not None
        work = self._work(lane, request, target)
        limit_s = wait_limit_s(request)
        return await self._gate.wait(lane.level, lane.series, lane.hand, work, limit_s)

    def leave(self, lane: Lane, seats: int, reply: AnyReply | None = None) -> None:
        """The request is answered, or has failed. An answer in slices is given other ones, by which
        the seats are kept until it is sent."""
        level, series = lane.level, lane.series
        assert level is not None and series is not None
        if isinstance(reply, SlicedReply):
            reply.slices = self._gate.leave_when_sent(level, series, seats, reply.slices)
        else:
            self._gate.leave(level, series, seats)

    def lines(self) -> Iterator[str]:
        """What /metrics tells of it."""
        return self._measures.lines()

    def _work(self, lane: Lane, request: Request, target: Target | None) -> int:
        if target is None or not lane.verb:
            return 1
        return work_of(self._registry.cache, lane.verb, request, target)


def wait_limit_s(request: Request) -> float:
    """A quarter of the time that a request has in all, as upstream's getRequestWaitContext."""
    try:
        return (timeout_of(request) or LONGEST_S) / 4
    except BadRequest:  # refused for that when it is its turn
        return LONGEST_S / 4
