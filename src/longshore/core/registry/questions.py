"""Questions to those outside the server: judging is synchronous, and asking is not.

A judgement that needs an answer which is not known raises Undecided, before anything is done; who
holds the request has the question settled, and judges anew with the answer in memory (settled()).
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any, Generic, Protocol, TypeVar

import orjson

from longshore.base.clock import Clock
from longshore.core.objects.errors import Unavailable
from longshore.core.objects.kinds import Doc

_T = TypeVar("_T")
_REASON_MAX = 1024
# An answer counts for the request that asked, however short it is kept otherwise; a failure too, so
# that who is down is not asked by each of many requests anew.
_LEAST_S = 1.0
# How many answers one request may need.
_QUESTIONS_MAX = 64


class AskError(Exception):
    """There is no answer, or none that can be understood. passing: asked again there may be one."""

    def __init__(self, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


class Ask(Protocol):
    async def __call__(self, spec: Doc) -> Doc:
        """Ask a review of that spec; its status. Raises AskError."""


class Remembered(Generic[_T]):
    """What was said lately of which specs: up to a number of answers, the oldest forgotten first."""

    def __init__(self, clock: Clock, most: int) -> None:
        self._clock = clock
        self._most = most
        self._said: dict[bytes, tuple[float, _T]] = {}

    def __len__(self) -> int:
        return len(self._said)

    def get(self, spec: Doc) -> _T | None:
        until, answer = self._said.get(_digest(spec), (0.0, None))
        return answer if until > self._clock.monotonic() else None

    def put(self, spec: Doc, answer: _T, ttl_s: float) -> None:
        """For that many seconds, but at least for one."""
        key = _digest(spec)
        self._said.pop(key, None)
        if len(self._said) >= self._most:
            del self._said[next(iter(self._said))]
        self._said[key] = self._clock.monotonic() + max(ttl_s, _LEAST_S), answer


def _digest(spec: Doc) -> bytes:
    """Of one size, however long the words are that a caller chose."""
    return hashlib.sha256(orjson.dumps(spec)).digest()


class Undecided(Unavailable):
    """A judgement that somebody outside is to be asked for: settle has them asked. Where nobody does
    so, it is refused as what cannot be had now."""

    def __init__(self, settle: Callable[[], Awaitable[None]]) -> None:
        super().__init__("somebody outside, who judges this, was not asked yet")
        self.settle = settle


async def settled(question: Undecided, again: Callable[[], Awaitable[_T]]) -> _T:
    """What comes of doing something again, once all that it needs to know is known. Nothing may
    have been done by what raised the question."""
    for _ in range(_QUESTIONS_MAX):
        await question.settle()
        try:
            return await again()
        except Undecided as another:
            question = another
    raise Unavailable(
        f"those outside who judge this were asked {_QUESTIONS_MAX} times, and it is open still"
    )


async def decided(judge: Callable[[], _T]) -> _T:
    """A judgement, once all that it needs to know is known."""

    async def judged() -> _T:
        return judge()

    try:
        return judge()
    except Undecided as question:
        return await settled(question, judged)


def told(value: Any) -> str:
    """A text of an answer, as much of it as is passed on; "" if it is none."""
    return value[:_REASON_MAX] if isinstance(value, str) else ""
