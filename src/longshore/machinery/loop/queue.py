"""The keyed queue: each key waits once, is worked on by one worker at a time, and is taken again
if it was added meanwhile. No tasks: what waits for time is next door in alarms.py."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from longshore.base.limits import LOOP_QUEUE_MAX
from longshore.machinery.loop.metrics import Meter

K = TypeVar("K", bound=Hashable)


class KeyedQueue(Generic[K]):
    """First come, first served; at most LOOP_QUEUE_MAX distinct keys (a bound on objects). now tells
    monotonic seconds; meter is told how long keys wait and are worked on."""

    def __init__(self, now: Callable[[], float], meter: Meter) -> None:
        self._now = now
        self._meter = meter
        self._waiting: dict[K, float] = {}
        self._active: dict[K, float] = {}
        self._again: dict[K, float] = {}
        meter.waiting, meter.active, meter.again = self._waiting, self._active, self._again
        self._takers: deque[asyncio.Future[None]] = deque()
        self._idle: asyncio.Event = asyncio.Event()
        self._idle.set()
        self._closed = False

    def add(self, key: K) -> None:
        """Have a key looked at. Never waits; adding twice is adding once."""
        if self._closed or key in self._waiting:
            return
        if key in self._active:
            if key not in self._again:
                self._meter.adds += 1
                self._again[key] = self._now()
            return
        assert len(self._waiting) < LOOP_QUEUE_MAX, "more keys than objects can be"
        self._meter.adds += 1
        self._enqueue(key, self._now())

    async def take(self) -> K | None:
        """The next key, now owned by the caller until done(key). None once closed."""
        while not self._waiting:
            if self._closed:
                return None
            taker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._takers.append(taker)
            await taker
        key = next(iter(self._waiting))
        now = self._active[key] = self._now()
        self._meter.waited(now - self._waiting.pop(key))
        return key

    def done(self, key: K) -> None:
        """The caller is through with a key that it took."""
        self._meter.worked(self._now() - self._active.pop(key))
        if key in self._again:
            self._enqueue(key, self._again.pop(key))
        if not self._waiting and not self._active:
            self._idle.set()

    async def settled(self) -> None:
        """Return when nothing waits and nobody works. Keys that wait for time do not count."""
        await self._idle.wait()

    def close(self) -> None:
        """Forget what waits; workers end when they are through with what they have."""
        self._closed = True
        self._waiting.clear()
        self._again.clear()
        if not self._active:
            self._idle.set()
        while self._takers:
            self._wake_one()

    def __len__(self) -> int:
        return len(self._waiting)

    def _enqueue(self, key: K, since: float) -> None:
        self._waiting[key] = since
        self._idle.clear()
        self._wake_one()

    def _wake_one(self) -> None:
        while self._takers:
            taker = self._takers.popleft()
            if not taker.done():
                taker.set_result(None)
                return
