"""Who gives way comes after those who are busy, and comes all the same."""

from __future__ import annotations

from collections.abc import Container

import pytest

from longshore.machinery.loop.giving_way import CALM_LOOKS, LOOK_S, LOOKS_MAX, give_way


class Busy:
    """A clock of a loop that comes back late from those of its sleeps."""

    def __init__(self, late: Container[int]) -> None:
        self.sleeps = 0
        self._late = late
        self._at = 0.0

    def now(self) -> float:
        return self._at

    def monotonic(self) -> float:
        return self._at

    async def sleep(self, seconds: float) -> None:
        self._at += seconds + (0.05 if self.sleeps in self._late else 0.0)
        self.sleeps += 1


@pytest.mark.parametrize(
    ("late", "looks"),
    [
        ((), CALM_LOOKS),
        (range(3), 3 + CALM_LOOKS),
        ((2,), 3 + CALM_LOOKS),
        (range(1000), LOOKS_MAX),
    ],
)
async def test_it_looks_until_the_loop_has_time(late: Container[int], looks: int) -> None:
    clock = Busy(late)
    await give_way(clock)
    assert clock.sleeps == looks


async def test_an_idle_loop_is_hardly_waited_for() -> None:
    clock = Busy(())
    await give_way(clock)
    assert clock.monotonic() == pytest.approx(CALM_LOOKS * LOOK_S)
