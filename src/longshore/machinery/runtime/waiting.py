"""Wait for one of two things."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from longshore.base.clock import Clock


async def within(clock: Clock, seconds: float, event: asyncio.Event) -> bool:
    """Whether the event was set within that time."""
    if not event.is_set():
        await _first(event.wait(), clock.sleep(seconds))
    return event.is_set()


async def either(one: asyncio.Event, other: asyncio.Event) -> None:
    """Return when one of the two is set."""
    if not (one.is_set() or other.is_set()):
        await _first(one.wait(), other.wait())


async def _first(*waits: Coroutine[Any, Any, Any]) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(wait) for wait in waits]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
