"""What a start is busy with, and how long each part of it took."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from longshore.base.clock import SystemClock

Phase = Callable[[str], AbstractContextManager[None]]


class Timer:
    """Phases, as they are shown and as they are told afterwards."""

    def __init__(self, phase: Phase) -> None:
        self._phase = phase
        self._clock = SystemClock()
        self._begun = self._clock.monotonic()
        self.seconds: dict[str, float] = {}

    def __call__(self, key: str, what: str, work: Callable[[], None]) -> None:
        begun = self._clock.monotonic()
        with self._phase(what):
            work()
        self.seconds[key] = round(self._clock.monotonic() - begun, 4)

    def all(self) -> dict[str, float]:
        return {**self.seconds, "total": round(self._clock.monotonic() - self._begun, 4)}
