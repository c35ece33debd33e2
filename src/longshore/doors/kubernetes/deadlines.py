"""How long a request may take: the query parameter timeout."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable
from typing import TypeVar

from longshore.base.clock import Clock
from longshore.core.objects.errors import ApiError, BadRequest, Timeout
from longshore.doors.kit.http import Request

# Nothing is worked on for longer (upstream's --request-timeout).
LONGEST_S = 60.0
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_PART = re.compile(r"(\d{1,12}(?:\.\d{1,12})?)(h|ms|m|s|us|µs|ns)")
_Answer = TypeVar("_Answer")


def timeout_of(request: Request) -> float | None:
    """Seconds, None if the request names none. Raises BadRequest for what is no Go duration."""
    text = request.param("timeout")
    if not text or text == "0":
        return None
    if not re.fullmatch(rf"(?:{_PART.pattern})+", text, re.ASCII) or len(text) > 64:
        raise BadRequest(f'invalid timeout specified in the request URL: "{text[:64]}"')
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    return min(seconds, LONGEST_S) or None


async def within(clock: Clock, seconds: float, work: Awaitable[_Answer]) -> _Answer:
    """What work answers. Raises Timeout if it has not after that many seconds; a write that was
    queued by then may be done all the same."""
    try:
        async with asyncio.timeout(None) as limit, asyncio.TaskGroup() as crew:
            timer = crew.create_task(_expire(clock, seconds, limit))
            answer = await _outcome(work)
            timer.cancel()
    except TimeoutError:
        raise Timeout("Timeout: request did not complete within the allotted timeout") from None
    if isinstance(answer, ApiError):
        raise answer
    return answer


async def _expire(clock: Clock, seconds: float, limit: asyncio.Timeout) -> None:
    await clock.sleep(seconds)
    limit.reschedule(asyncio.get_running_loop().time())


async def _outcome(work: Awaitable[_Answer]) -> _Answer | ApiError:
    try:
        return await work
    except ApiError as error:
        return error
