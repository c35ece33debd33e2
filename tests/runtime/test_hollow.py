"""The hollow driver: the common suite, how containers end, and what ten thousand pods cost."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from longshore.base.chance import Chance
from longshore.machinery.runtime.hollow import EXIT_LABEL, Ending, HollowRuntime, parse_ending
from longshore.machinery.runtime.protocol import (
    Container,
    ContainerSpec,
    ImagePullFailed,
    Runtime,
    SandboxSpec,
    StartFailed,
    State,
)
from longshore.testing.clock import VirtualClock
from longshore.testing.runtime_suite import RuntimeSuite


class HollowHarness:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.runtime: Runtime = HollowRuntime(self.clock, Chance.seeded(1))

    async def reopen(self) -> Runtime:
        await self.runtime.close()
        await self.runtime.open()
        return self.runtime

    async def passing(self, seconds: float) -> None:
        await self.clock.advance(seconds)

    async def ready(self, container: Container) -> None:
        """It has no process that could be late."""

    def sandbox(self, name: str) -> SandboxSpec:
        return SandboxSpec(f"uid-{name}", "default", name, name, "")

    def running(self, name: str) -> ContainerSpec:
        return ContainerSpec(name, "app:1", f"/logs/{name}.log")

    def ending(self, name: str, code: int, after_s: float) -> ContainerSpec:
        return replace(self.running(name), labels={EXIT_LABEL: f"{code} after {after_s}"})


@pytest.fixture
def harness() -> HollowHarness:
    return HollowHarness()


class TestHollow(RuntimeSuite):
    pass


def test_the_label_says_how_a_container_ends() -> None:
    assert parse_ending("3") == Ending(3, 0.0)
    assert parse_ending("0 after 2.5") == Ending(0, 2.5)


@pytest.mark.parametrize(
    "text", ["", "soon", "1 after never", "256", "-1", "0 after -1", "0 after inf", "0 after nan"]
)
def test_a_label_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"longshore\.io/hollow-exit"):
        parse_ending(text)


async def test_a_bad_label_fails_the_start(harness: HollowHarness) -> None:
    await harness.runtime.run_sandbox(harness.sandbox("a"))
    spec = replace(harness.running("main"), labels={EXIT_LABEL: "soon"})
    with pytest.raises(StartFailed, match='"soon" is neither "CODE" nor "CODE after SECONDS"'):
        await harness.runtime.start_container("uid-a", spec)


async def test_ends_come_in_the_order_of_their_time(harness: HollowHarness) -> None:
    runtime = harness.runtime
    for name, after_s in (("late", 20.0), ("early", 10.0)):
        await runtime.run_sandbox(harness.sandbox(name))
        await runtime.start_container(f"uid-{name}", harness.ending("main", 0, after_s))
    heard: list[set[str]] = []

    async def listen() -> None:
        while len(heard) < 2:
            heard.append(await runtime.changed())

    async with asyncio.TaskGroup() as group:
        group.create_task(listen())
        await harness.passing(30.0)
    assert heard == [{"uid-early"}, {"uid-late"}]
    assert [each.finished_at - each.started_at for each in await runtime.containers()] == [
        20.0,
        10.0,
    ]


async def test_a_nearer_end_is_not_missed_while_a_farther_one_is_awaited(
    harness: HollowHarness,
) -> None:
    runtime = harness.runtime
    await runtime.run_sandbox(harness.sandbox("a"))
    await runtime.start_container("uid-a", harness.ending("far", 0, 1000.0))
    async with asyncio.TaskGroup() as group:
        changed = group.create_task(runtime.changed())
        await harness.passing(1.0)
        await runtime.start_container("uid-a", harness.ending("near", 0, 2.0))
        await harness.passing(3.0)
        assert changed.done()


async def test_a_stopped_container_does_not_end_again(harness: HollowHarness) -> None:
    await harness.runtime.run_sandbox(harness.sandbox("a"))
    started = await harness.runtime.start_container("uid-a", harness.ending("main", 0, 5.0))
    await harness.runtime.stop_container(started.id, 1.0)
    await harness.passing(10.0)
    (found,) = await harness.runtime.containers()
    assert (found.state, found.exit_code) == (State.EXITED, 143)


async def test_every_image_is_present(harness: HollowHarness) -> None:
    image = await harness.runtime.image("any/thing:1")
    assert image is not None
    assert image == await harness.runtime.pull("any/thing:1")


async def test_images_named_broken_are_nowhere(harness: HollowHarness) -> None:
    for image in ("broken", "broken:1", "registry.test:5000/team/broken@sha256:00"):
        assert await harness.runtime.image(image) is None
        with pytest.raises(ImagePullFailed, match="not found"):
            await harness.runtime.pull(image)
    assert await harness.runtime.image("broken/web:1") is not None


async def test_a_container_costs_no_task(harness: HollowHarness) -> None:
    for index in range(1000):
        await harness.runtime.run_sandbox(harness.sandbox(str(index)))
        await harness.runtime.start_container(f"uid-{index}", harness.ending("main", 0, 60.0))
    assert len(asyncio.all_tasks()) == 1
    assert harness.clock.sleeping == 0
