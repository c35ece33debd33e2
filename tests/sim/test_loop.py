"""Simulated time, and the order of what is ready."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from longshore.base.chance import Chance
from longshore.base.clock import SystemClock
from longshore.testing.loop import EPOCH, Deadlock, LoopClock, SimulatedLoop

Main = Callable[[SimulatedLoop, LoopClock], Coroutine[Any, Any, Any]]


def run(main: Main, *, seed: int | None = None, flowing: bool = False) -> Any:
    order = None if seed is None else Chance.seeded(seed)
    with contextlib.closing(SimulatedLoop(order, flowing=flowing)) as loop:
        return loop.run_until_complete(main(loop, LoopClock(loop)))


def test_years_pass_in_no_time() -> None:
    async def main(_loop: SimulatedLoop, clock: LoopClock) -> tuple[float, float]:
        await clock.sleep(365 * 86_400)
        return clock.monotonic(), clock.now()

    wall = SystemClock()
    begun = wall.monotonic()
    assert run(main) == (365 * 86_400, EPOCH + 365 * 86_400)
    assert wall.monotonic() - begun < 1.0


def test_sleepers_wake_in_the_order_of_their_deadlines() -> None:
    async def main(_loop: SimulatedLoop, clock: LoopClock) -> list[float]:
        woken = []

        async def sleeper(seconds: float) -> None:
            await clock.sleep(seconds)
            woken.append(clock.monotonic())

        async with asyncio.TaskGroup() as crew:
            for seconds in (3.0, 1.0, 2.0):
                crew.create_task(sleeper(seconds))
        return woken

    assert run(main) == [1.0, 2.0, 3.0]


def in_their_order(seed: int | None) -> list[int]:
    async def main(_loop: SimulatedLoop, _clock: LoopClock) -> list[int]:
        seen: list[int] = []

        async def note(number: int) -> None:
            seen.append(number)

        async with asyncio.TaskGroup() as crew:
            for number in range(8):
                crew.create_task(note(number))
        return seen

    found: list[int] = run(main, seed=seed)
    return found


def test_the_seed_decides_who_of_the_ready_goes_first() -> None:
    assert in_their_order(None) == list(range(8))
    orders = [in_their_order(seed) for seed in range(20)]
    assert orders == [in_their_order(seed) for seed in range(20)]
    assert len({tuple(order) for order in orders}) > 15


def test_callbacks_that_are_no_tasks_keep_their_order() -> None:
    async def main(loop: SimulatedLoop, _clock: LoopClock) -> list[int]:
        seen: list[int] = []
        for number in range(8):
            loop.call_soon(seen.append, number)
        await loop.rest()
        return seen

    assert all(run(main, seed=seed) == list(range(8)) for seed in range(20))


def test_rest_is_when_nobody_can_go_on() -> None:
    async def main(loop: SimulatedLoop, clock: LoopClock) -> tuple[list[str], float]:
        done: list[str] = []

        async def busy() -> None:
            for _ in range(100):
                await asyncio.sleep(0)  # noqa: TID251 - a turn of this very loop
            done.append("busy")
            await clock.sleep(1)
            done.append("later")

        async with asyncio.TaskGroup() as crew:
            crew.create_task(busy())
            await loop.rest()
            seen, at = list(done), clock.monotonic()
        return seen, at

    assert run(main, seed=1) == (["busy"], 0.0)


def test_what_can_never_end_is_said_to() -> None:
    async def main(loop: SimulatedLoop, _clock: LoopClock) -> None:
        await loop.create_future()

    with pytest.raises(Deadlock):
        run(main)


def test_a_jump_of_the_wall_moves_no_deadline() -> None:
    async def main(_loop: SimulatedLoop, clock: LoopClock) -> tuple[float, float]:
        clock.jump(-3600)
        await clock.sleep(10)
        return clock.monotonic(), clock.now() - EPOCH

    assert run(main) == (10.0, -3590.0)


def test_flowing_time_is_the_walls_until_somebody_waits() -> None:
    async def main(loop: SimulatedLoop, clock: LoopClock) -> tuple[float, float]:
        wall = SystemClock()
        begun = wall.monotonic()
        await clock.sleep(0.05)
        flowed = wall.monotonic() - begun
        loop.jump_to(loop.time() + 3600)
        await clock.sleep(3600)
        return flowed, wall.monotonic() - begun

    flowed, jumped = run(main, flowing=True)
    assert flowed >= 0.05
    assert jumped < 5.0


def test_flowing_time_does_not_jump_past_those_outside() -> None:
    """Whoever was told something a moment ago has as much of the wall's time to answer."""

    async def main(loop: SimulatedLoop, clock: LoopClock) -> float:
        wall = SystemClock()
        begun = wall.monotonic()
        loop.wait_for_others(0.05)
        loop.jump_to(loop.time() + 3600)
        await clock.sleep(3600)
        return wall.monotonic() - begun

    assert 0.05 <= run(main, flowing=True) < 5.0


def test_flowing_time_flows_again_once_nobody_waits() -> None:
    async def main(loop: SimulatedLoop, clock: LoopClock) -> float:
        wall = SystemClock()
        loop.jump_to(loop.time() + 3600)
        loop.hold()
        begun = wall.monotonic()
        await clock.sleep(0.05)
        return wall.monotonic() - begun

    assert run(main, flowing=True) >= 0.05
