"""Keys that wait for time. One sleeper serves many keys; each key has one deadline, the earliest."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from longshore.base.clock import Clock

K = TypeVar("K", bound=Hashable)
# Clocks count in floats: deadlines closer than this are one instant.
HAIR_S = 1e-5


class Alarms(Generic[K]):
    """Calls ring(key) when its time has come. Waking early is harmless to a reconciler, which looks
    at the world anew; so an alarm is never cancelled, only moved forward."""

    def __init__(self, clock: Clock, ring: Callable[[K], None], crew: asyncio.TaskGroup) -> None:
        self._clock = clock
        self._ring = ring
        self._crew = crew
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._order = itertools.count()
        self._sleeping: list[float] = []
        self._sleepers: set[asyncio.Task[None]] = set()

    def set(self, key: K, seconds: float) -> None:
        """Ring for this key after seconds, or earlier if an earlier alarm is set for it."""
        # Never at once: rung a hair early, a key whose wake is due in less would only ask again.
        at = self._clock.monotonic() + max(2 * HAIR_S, seconds)
        if key in self._due and self._due[key] <= at:
            return
        self._due[key] = at
        heapq.heappush(self._heap, (at, next(self._order), key))
        self._ensure_sleeper()

    def stop(self) -> None:
        """Let nothing ring any more."""
        for sleeper in tuple(self._sleepers):
            sleeper.cancel()

    def __len__(self) -> int:
        """How many keys wait."""
        return len(self._due)

    def __contains__(self, key: K) -> bool:
        """Whether a key waits."""
        return key in self._due

    def _ensure_sleeper(self) -> None:
        """Sleepers are few: a new one only when its deadline is before that of all others."""
        at = self._heap[0][0]
        if not self._sleeping or at < self._sleeping[0]:
            heapq.heappush(self._sleeping, at)
            sleeper = self._crew.create_task(self._sleep(at), name="alarm")
            self._sleepers.add(sleeper)
            sleeper.add_done_callback(self._sleepers.discard)

    async def _sleep(self, at: float) -> None:
        # A clock may wake a sleeper early; what is more than a hair is slept for again.
        while (left := at - self._clock.monotonic()) > HAIR_S:
            await self._clock.sleep(left)
        self._sleeping.remove(at)
        heapq.heapify(self._sleeping)
        self._ring_all()
        if self._heap:
            self._ensure_sleeper()

    def _ring_all(self) -> None:
        now = self._clock.monotonic() + HAIR_S
        while self._heap and self._heap[0][0] <= now:
            at, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == at:
                del self._due[key]
                self._ring(key)
