"""An event loop whose time is simulated: it jumps to the next deadline when nothing is left to do.

Two ways to let time pass. A simulation jumps always: ten minutes of an idle cluster are a few
milliseconds. A cluster within a test run flows at the pace of the wall, so that clients from
outside find a server that behaves like any other, and jumps only while somebody waits for a
moment to come (`jump_to`). Same house, same code: what runs in it cannot tell.

In a simulation the order in which ready tasks run is drawn from a seed. asyncio promises an order
for callbacks, not for tasks that become ready in the same turn, so each order is one that may
happen; callbacks that are no tasks' steps keep their places.
"""

from __future__ import annotations

import asyncio
import itertools
import selectors
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeAlias, TypeVar

from longshore.base.chance import Chance
from longshore.base.clock import SystemClock

T = TypeVar("T")
Begun: TypeAlias = Coroutine[Any, Any, T] | Generator[Any, None, T]

# 2026-01-01T00:00:00Z: where simulated time begins.
EPOCH = 1_767_225_600.0


class Deadlock(RuntimeError):
    """Every task waits for another, and no deadline is left that could end it."""


class SimulatedLoop(asyncio.SelectorEventLoop):
    """order: where the order of ready tasks comes from (None: first come, first served).
    flowing: whether time passes with the wall's, or only by jumps."""

    def __init__(self, order: Chance | None = None, *, flowing: bool = False) -> None:
        self._wall = SystemClock() if flowing else None
        self._ahead = -self._wall.monotonic() if self._wall else 0.0
        self._target = 0.0
        self._patient_until = 0.0
        self._at_rest: list[asyncio.Future[None]] = []
        self._draw = order
        self._ready: deque[asyncio.Handle]  # asyncio.base_events: what runs in the next turn
        super().__init__(_Jumps(self.between_turns))
        # What is due within a microsecond is due: after years, floats know no nanoseconds.
        self._clock_resolution = 1e-6
        if order is not None:
            self._numbers = itertools.count()
            self.set_task_factory(self._numbered)

    def time(self) -> float:
        """Seconds since the simulation began."""
        return self._ahead + (self._wall.monotonic() if self._wall else 0.0)

    def jump_to(self, when: float) -> None:
        """Let a flowing loop jump ahead, deadline by deadline, until when (in time()'s seconds)."""
        self._target = max(self._target, when)

    def hold(self) -> None:
        """Jump no further: time flows again."""
        self._target = self.time()

    def wait_for_others(self, seconds: float) -> None:
        """Let a flowing loop not jump for so many real seconds from now: somebody outside, whose time
        cannot jump, has just been told something."""
        if self._wall is not None:
            self._patient_until = max(self._patient_until, self._wall.monotonic() + seconds)

    async def rest(self) -> None:
        """Return when no task can go on without time passing or a word from outside."""
        waiter = self.create_future()
        self._at_rest.append(waiter)
        await waiter

    def _numbered(
        self, _loop: asyncio.AbstractEventLoop, coroutine: Begun[T], **more: Any
    ) -> _NumberedTask[T]:
        return _NumberedTask(next(self._numbers), coroutine, self, **more)

    def between_turns(
        self, poll: Callable[[float | None], list[Any]], timeout: float | None
    ) -> list[Any]:
        """What the loop asks of its selector: wait at most timeout seconds (None: for ever)."""
        if timeout == 0:
            self._mix()
            # In a simulation nobody outside has anything to say that could not wait for a jump.
            return [] if self._wall is None else poll(0)
        if events := poll(0):
            return events
        if self._at_rest:
            waiters, self._at_rest = self._at_rest, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)
            return []
        return self._pass_time(poll, timeout)

    def _pass_time(
        self, poll: Callable[[float | None], list[Any]], timeout: float | None
    ) -> list[Any]:
        if self._wall is None:
            if timeout is None:
                raise Deadlock("nothing can ever happen any more")
            self._ahead += timeout
            return []
        left = self._target - self.time()
        patience = self._patient_until - self._wall.monotonic()
        if left <= 0:
            return poll(timeout)
        if patience > 0:
            return poll(patience if timeout is None else min(patience, timeout))
        self._ahead += left if timeout is None else min(timeout, left)
        return []

    def _mix(self) -> None:
        """Deal the places of ready tasks among them anew."""
        ready = self._ready
        if self._draw is None or len(ready) < 2:
            return
        places = [place for place, handle in enumerate(ready) if _task_of(handle) is not None]
        # Who woke them may have gone through a set, whose order is that of memory.
        known = sorted((ready[place] for place in places), key=lambda one: hash(_task_of(one)))
        for place, handle in zip(places, self._draw.shuffled(known), strict=True):
            ready[place] = handle


class _NumberedTask(asyncio.Task[T]):
    """A task that is known by when it was begun, and not by where it is in memory: a task group cancels
    its tasks in the order of a set."""

    def __init__(
        self,
        number: int,
        coroutine: Begun[T],
        loop: asyncio.AbstractEventLoop,
        **more: Any,
    ) -> None:
        self._number = number
        super().__init__(coroutine, loop=loop, **more)

    def __hash__(self) -> int:
        return self._number

    def __eq__(self, other: object) -> bool:
        return self is other


def _task_of(handle: asyncio.Handle) -> asyncio.Task[Any] | None:
    """Whose step it is."""
    one = getattr(getattr(handle, "_callback", None), "__self__", None)
    return one if isinstance(one, asyncio.Task) else None


class _Jumps(selectors.DefaultSelector):
    """A selector whose waiting somebody else does."""

    def __init__(
        self, wait: Callable[[Callable[[float | None], list[Any]], float | None], list[Any]]
    ) -> None:
        super().__init__()
        self._wait = wait

    def select(self, timeout: float | None = None) -> list[Any]:
        return self._wait(super().select, timeout)


class LoopClock:
    """Clock by a simulated loop. jump() moves the wall's time alone, as an operator or NTP does."""

    def __init__(self, loop: SimulatedLoop, start: float = EPOCH) -> None:
        self._loop = loop
        self._start = start

    def now(self) -> float:
        return self._start + self._loop.time()

    def monotonic(self) -> float:
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        waiter: asyncio.Future[None] = self._loop.create_future()
        handle = self._loop.call_later(max(0.0, seconds), _wake, waiter)
        try:
            await waiter
        finally:
            handle.cancel()

    def jump(self, seconds: float) -> None:
        self._start += seconds


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
