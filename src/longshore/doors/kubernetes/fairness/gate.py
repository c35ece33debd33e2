"""Where requests wait for their seats: the one part of fairness that knows the loop and time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from longshore.base.clock import Clock
from longshore.core.objects.errors import TooManyRequests
from longshore.doors.kubernetes.fairness.levels import Level, Pool
from longshore.doors.kubernetes.fairness.measures import Measures, Series
from longshore.doors.kubernetes.fairness.queues import Waiting

# How exact the bounds of waiting and sending are.
_TICK_S = 0.5
# An answer in slices holds its seats until it is sent, but no longer than this: how fast its client
# reads must not decide when others are served.
SENDING_S = 1.0


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


class Sending:
    """The slices of an answer, behind the last of which its seats are given back."""

    __slots__ = ("_give_back", "_slices", "until")

    def __init__(
        self, slices: Iterator[bytes], give_back: Callable[[], None], until: float
    ) -> None:
        self._slices = slices
        self._give_back: Callable[[], None] | None = give_back
        self.until = until

    def __iter__(self) -> Sending:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._slices)
        except StopIteration:
            self.finish()
            raise

    def finish(self) -> None:
        give_back, self._give_back = self._give_back, None
        if give_back is not None:
            give_back()


class Gate:
    """Lets requests in: at once while their level has seats and nobody waits there, else in their
    turn. The order in which futures are resolved is the order in which the loop goes on."""

    def __init__(self, pool: Pool, measures: Measures, clock: Clock) -> None:
        self._pool = pool
        self._measures = measures
        self._clock = clock
        self._begun: list[Level] = []
        self._turning = False
        # In the order of their time; those that are sent stay in it until then.
        self._sending: deque[Sending] = deque()
        self._to_mind = asyncio.Event()

    async def run(self) -> None:
        """Refuse those who have waited for too long, and go on without those who are slow to take
        their answers, until cancelled."""
        while True:
            await self._to_mind.wait()
            await self._clock.sleep(_TICK_S)
            self._expire(self._clock.monotonic())
            if not self._pool.hungry and not self._sending:
                self._to_mind.clear()

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
        self._to_mind.set()
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

    def leave_when_sent(
        self, level: Level, series: Series, seats: int, slices: Iterator[bytes]
    ) -> Sending:
        """The request is being answered: the slices to be sent instead of these."""
        until = self._clock.monotonic() + SENDING_S
        sending = Sending(slices, lambda: self.leave(level, series, seats), until)
        self._sending.append(sending)
        self._to_mind.set()
        return sending

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
        while self._sending and self._sending[0].until <= now:
            self._sending.popleft().finish()
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
