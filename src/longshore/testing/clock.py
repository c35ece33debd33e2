"""A clock that tests own: time stands still until every task waits, then jumps to the next deadline."""

from __future__ import annotations

import asyncio
import heapq
import itertools


class VirtualClock:
    """Starts at a fixed instant (2026-01-01T00:00:00Z). advance() moves it by hand and wakes
    sleepers in the order of their deadlines, letting the loop settle between them."""

    def __init__(self, start: float = 1_767_225_600.0) -> None:
        self._now = start
        self._start = start
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now - self._start

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await settle(1)
            return
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._order), wake))
        await wake

    async def advance(self, seconds: float) -> None:
        """Let that many seconds pass, waking everyone whose time comes on the way."""
        await settle()
        end = self._now + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, wake = heapq.heappop(self._sleepers)
            self._now = max(self._now, due)
            if not wake.done():
                wake.set_result(None)
                await settle()
        self._now = end
        await settle()

    @property
    def sleeping(self) -> int:
        """How many tasks wait for a deadline."""
        return sum(not wake.done() for _, _, wake in self._sleepers)


async def settle(turns: int = 50) -> None:
    """Give every ready task that many turns of the loop."""
    loop = asyncio.get_running_loop()
    for _ in range(turns):
        turn: asyncio.Future[None] = loop.create_future()
        loop.call_soon(turn.set_result, None)
        await turn
