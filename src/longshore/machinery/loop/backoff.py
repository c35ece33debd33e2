"""How long to wait before the next try: doubling, bounded, and spread by chance."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from longshore.base.chance import Chance

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Pace:
    """first_s doubles with each failure up to most_s (client-go's default rate limiter starts at
    5 ms and ends at 1000 s; ours ends earlier, as a cluster of seconds has no use for hours)."""

    first_s: float = 0.005
    most_s: float = 60.0
    jitter: float = 0.25

    def wait_s(self, failures: int, chance: Chance) -> float:
        """Seconds to wait after that many failures in a row (at least one)."""
        # 2**40 * 5 ms is beyond any most_s: the exponent is held to keep the float finite.
        base = min(self.most_s, self.first_s * 2.0 ** min(failures - 1, 40))
        return base * chance.uniform(1.0 - self.jitter, 1.0 + self.jitter)


class Failures(Generic[K]):
    """Counts failures in a row for each key."""

    def __init__(self, pace: Pace, chance: Chance) -> None:
        self._pace = pace
        self._chance = chance
        self._count: dict[K, int] = {}

    def wait_s(self, key: K) -> float:
        """One more failure: how long to wait now."""
        count = self._count[key] = self._count.get(key, 0) + 1
        return self._pace.wait_s(count, self._chance)

    def forget(self, key: K) -> None:
        self._count.pop(key, None)

    def of(self, key: K) -> int:
        return self._count.get(key, 0)
