"""Where requests wait for their seats: the one part of fairness that knows the loop and time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from longshore.base.clock import Clock
from longshore.core.objects.errors import TooManyRequests
from longshore.doors.kubernetes.fairness.levels import Level, Pool
from longshore.doors.kubernetes.fairness.measures import Measures, Series
from longshore.doors.kubernetes.fairness.queues import Waiting

# How exact the bound of waiting is.
_TICK_S = 0.5


class _InQueue(Waiting):
    __slots__ = ("decision", "level", "series", "since", "until")

    def __init__(
        self, level: Level, series: Series, work: int, since: float, limit_s: float
    ) -> None:
        super().__init__(level.width(work), work)
        self.level = level
        self.series = series
        self.since = since
        self.until = since + limit_s
        # Whether it may go in; false when it has waited for too long.
        self.decision: asyncio.Future[bool] = asyncio.get_running_loop().create_future()


class Gate:
    """Lets requests in: at once while their level has seats and nobody waits there, else in their
    turn. The order in which futures are resolved is the order in which the loop goes on."""

    def __init__(self, pool: Pool, measures: Measures, clock: Clock) -> None:
        self._pool = pool
        self._measures = measures
        self._clock = clock
        self._begun: list[Level] = []
        self._turning = False
        self._someone_waits = asyncio.Event()

    async def run(self) -> None:
        """Refuse those who have waited for too long, until cancelled."""
        while True:
            await self._someone_waits.wait()
            await self._clock.sleep(_TICK_S)
            self._expire(self._clock.monotonic())
            if not self._pool.hungry:
                self._someone_waits.clear()

    def enter(self, level: Level, series: Series, work: int) -> int:
        """The seats that a request holds from now on; none if it has to wait."""
        seats = 1 if work == 1 else level.width(work)
        if level.queues.waiting or not level.fits(seats, work):
            return 0
        self._take(level, series, seats, work)
        return seats

    async def wait(
        self, level: Level, series: Series, hand: Sequence[int], work: int, limit_s: float
    ) -> int:
        """The seats, when it is the request's turn. Raises TooManyRequests if there is no room in
        the queues of its hand, or after limit_s seconds."""
        request = _InQueue(level, series, work, self._clock.monotonic(), limit_s)
        if not level.queues.join(hand, request):
            raise _refused(request, "concurrency-limit" if level.rejects else "queue-full")
        request.series.waiting += 1
        self._pool.hungry.add(level)
        self._someone_waits.set()
        self._turn_soon()
        try:
            may_enter = await request.decision
        except asyncio.CancelledError:
            self._forget(request)
            raise
        if not may_enter:
            raise _refused(request, "time-out")
        return request.seats

    def leave(self, level: Level, series: Series, seats: int) -> None:
        """The request is answered."""
        level.give(seats)
        series.executing -= 1
        series.seats -= seats
        self.look_again()

    def look_again(self) -> None:
        """Something has changed that those who wait may have waited for."""
        if self._pool.hungry:
            self._turn_soon()

    def _take(self, level: Level, series: Series, seats: int, work: int) -> None:
        if not level.begun:
            self._begun.append(level)
            self._turn_soon()
        level.take(seats, work)
        series.dispatched += 1
        series.executing += 1
        series.seats += seats

    def _turn_soon(self) -> None:
        if not self._turning:
            self._turning = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        """Begin a new turn of the loop: levels that miss their own seats come first."""
        self._turning = False
        for level in self._begun:
            level.begun = 0
        self._begun.clear()
        if self._pool.hungry:
            for level in sorted(self._pool.hungry, key=_deprived_first):
                self._dispatch(level)

    def _dispatch(self, level: Level) -> None:
        queues = level.queues
        while (request := queues.head()) is not None and level.fits(request.seats, request.work):
            assert isinstance(request, _InQueue)
            queues.dispatch(request)
            self._left_queue(request)
            if not request.decision.done():
                self._take(level, request.series, request.seats, request.work)
                self._decide(request, may_enter=True)

    def _decide(self, request: _InQueue, *, may_enter: bool) -> None:
        seconds = self._clock.monotonic() - request.since
        self._measures.waited(request.series, seconds, executed=may_enter)
        request.decision.set_result(may_enter)

    def _left_queue(self, request: _InQueue) -> None:
        request.series.waiting -= 1
        if not request.level.queues.waiting:
            self._pool.hungry.discard(request.level)

    def _expire(self, now: float) -> None:
        for level in list(self._pool.hungry):
            for request in list(level.queues.everyone()):
                assert isinstance(request, _InQueue)
                if request.until <= now and not request.decision.done():
                    level.queues.leave(request)
                    self._left_queue(request)
                    self._decide(request, may_enter=False)

    def _forget(self, request: _InQueue) -> None:
        """Whoever asked is gone, perhaps in the very moment when it was its turn."""
        if request.queue is not None:
            request.level.queues.leave(request)
            self._left_queue(request)
            request.series.rejected["cancelled"] += 1
        elif not request.decision.cancelled() and request.decision.result():
            self.leave(request.level, request.series, request.seats)


def _deprived_first(level: Level) -> bool:
    return not level.deprived


def _refused(request: _InQueue, reason: str) -> TooManyRequests:
    request.series.rejected[reason] += 1
    return TooManyRequests("too many requests, please try again later", retry_after_s=1)
