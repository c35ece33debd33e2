"""Asking many who may be silent: with patience, and never one twice at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from longshore.base.clock import Clock

T = TypeVar("T")


async def within(clock: Clock, seconds: float, asking: Coroutine[Any, Any, T]) -> T | None:
    """The answer; None if it takes longer than that."""
    async with asyncio.TaskGroup() as crew:
        answer = crew.create_task(asking)
        waiting = crew.create_task(clock.sleep(seconds))
        await asyncio.wait((answer, waiting), return_when=asyncio.FIRST_COMPLETED)
        answered = answer.result() if answer.done() else None
        answer.cancel()
        waiting.cancel()
    return answered


class _Turn:
    """The right to ask one of them, and how many have it or wait for it."""

    __slots__ = ("lock", "users")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.users = 0


class UnderWay:
    """Who is being asked now."""

    def __init__(self) -> None:
        self._turns: dict[str, _Turn] = {}

    @asynccontextmanager
    async def alone(self, who: str) -> AsyncIterator[None]:
        """Wait while somebody else asks the same: by then there may be an answer."""
        turn = self._turns.setdefault(who, _Turn())
        turn.users += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.users -= 1
            if not turn.users:
                del self._turns[who]
