"""No container of a pod starts before the node's guard admits the pod."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.machinery.network.errors import NetworkFailure
from longshore.testing.clock import settle

from .docs import pod
from .world import NODE, World, until, world


class Gate:
    """A guard that lets nobody through until it is opened."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.failures: list[NetworkFailure] = []
        self.asked: list[tuple[str, str]] = []

    async def admit(self, pod: Doc, ip: str) -> None:
        self.asked.append((pod["metadata"]["name"], ip))
        if self.failures:
            raise self.failures.pop()
        await self.open.wait()


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[tuple[World, Gate]]:
    async with world(tmp_path) as made:
        gate = Gate()
        made.start_agent().guard = gate
        await until(lambda: made.registry.cache.get(kinds.NODE, "", NODE))
        yield made, gate


async def test_nothing_runs_until_the_guard_admits_it(guarded: tuple[World, Gate]) -> None:
    w, gate = guarded
    await w.run_pod(pod(name="web"))
    await until(lambda: gate.asked)
    await settle(50)
    assert await w.runtime.containers() == []
    gate.open.set()
    await until(lambda: w.phase("web") == "Running")
    ((_, ip),) = gate.asked
    assert ip.startswith("10.42.1.")


async def test_a_guard_that_cannot_tell_is_asked_again(guarded: tuple[World, Gate]) -> None:
    w, gate = guarded
    gate.open.set()
    gate.failures.append(NetworkFailure("the network policies of the pod are not known"))
    await w.run_pod(pod(name="web"))
    await until(lambda: gate.asked)
    await settle(50)
    assert await w.runtime.containers() == []
    await w.clock.advance(20)
    await until(lambda: w.phase("web") == "Running")
    assert len(gate.asked) == 2


async def test_a_pod_with_its_node_s_address_is_not_asked_about(
    guarded: tuple[World, Gate],
) -> None:
    w, gate = guarded
    await w.run_pod(pod(name="web", hostNetwork=True))
    await until(lambda: w.phase("web") == "Running")
    assert gate.asked == []


async def test_a_pod_of_an_earlier_life_is_asked_about_again(guarded: tuple[World, Gate]) -> None:
    w, gate = guarded
    gate.open.set()
    await w.run_pod(pod(name="web"))
    await until(lambda: w.phase("web") == "Running")
    await w.stop_agent()
    w.start_agent().guard = gate
    await until(lambda: len(gate.asked) == 2)
    assert gate.asked[0] == gate.asked[1]
