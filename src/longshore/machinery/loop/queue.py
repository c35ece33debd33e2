"""The keyed queue: each key waits once, is worked on by one worker at a time, and is taken again
if it was added meanwhile. No clock, no tasks: what waits for time is next door in alarms.py."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

from longshore.base.limits import LOOP_QUEUE_MAX

K = TypeVar("K", bound=Hashable)


class KeyedQueue(Generic[K]):
    """First come, first served; at most LOOP_QUEUE_MAX distinct keys (a bound on objects)."""

    def __init__(self) -> None:
        self._waiting: dict[K, None] = {}
        self._active: set[K] = set()
        self._again: set[K] = set()
        self._takers: deque[asyncio.Future[None]] = deque()
        self._idle: asyncio.Event = asyncio.Event()
        self._idle.set()
        self._closed = False

    def add(self, key: K) -> None:
        """Have a key looked at. Never waits; adding twice is adding once."""
        if self._closed or key in self._waiting:
            return
        if key in self._active:
            self._again.add(key)
            return
        assert len(self._waiting) < LOOP_QUEUE_MAX, "more keys than objects can be"
        self._waiting[key] = None
        self._idle.clear()
        self._wake_one()

    async def take(self) -> K | None:
        """The next key, now owned by the caller until done(key). None once closed."""
        while not self._waiting:
            if self._closed:
                return None
            taker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._takers.append(taker)
            await taker
        key = next(iter(self._waiting))
        del self._waiting[key]
        self._active.add(key)
        return key

    def done(self, key: K) -> None:
        """The caller is through with a key that it took."""
        self._active.remove(key)
        if key in self._again:
            self._again.remove(key)
            self.add(key)
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

    def _wake_one(self) -> None:
        while self._takers:
            taker = self._takers.popleft()
            if not taker.done():
                taker.set_result(None)
                return
