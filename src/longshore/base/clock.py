"""Time as an argument. The only module that may ask the machine for it."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol


class Clock(Protocol):
    """Where time comes from. Everything that waits or stamps takes one of these."""

    def now(self) -> float:
        """Seconds since the epoch, as the wall shows them."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes backwards."""

    async def sleep(self, seconds: float) -> None:
        """Return when that many seconds have passed."""


class SystemClock:
    """The machine's own time."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def rfc3339(seconds: float) -> str:
    """Whole seconds in UTC, as metav1.Time is written: 2026-11-21T08:00:00Z."""
    return _rfc3339(int(seconds))


@lru_cache(maxsize=64)
def _rfc3339(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_micro(seconds: float) -> str:
    """Microseconds in UTC, as metav1.MicroTime is written (Lease.renewTime)."""
    whole, micro = divmod(round(seconds * 1_000_000), 1_000_000)
    return f"{_rfc3339(whole)[:-1]}.{micro:06d}Z"


@lru_cache(maxsize=1024)
def parse_rfc3339(text: str) -> float:
    """Seconds since the epoch from metav1.Time or metav1.MicroTime; ValueError if it is neither."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
