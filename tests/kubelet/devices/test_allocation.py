"""Pods come and go in any order while a plugin takes its time: no device is ever two pods'."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from longshore.machinery.kubelet.devices.allocation import Allocator
from longshore.machinery.kubelet.devices.assignments import Assignments
from longshore.machinery.kubelet.devices.metrics import DeviceMetrics
from longshore.machinery.kubelet.devices.model import Grant, PluginFailure
from longshore.machinery.kubelet.devices.peers import Listed, PluginOptions, Registration
from longshore.machinery.kubelet.devices.plan import Choice, DevicesMissing, ids_of
from longshore.machinery.kubelet.devices.plugins import Plugins
from longshore.testing.clock import VirtualClock, settle

from ..docs import container, pod

RESOURCE = "a.b/c"


class Slow:
    """A plugin without a socket. It thinks for a second before each answer, and refuses some."""

    def __init__(self, clock: VirtualClock, count: int, refused: set[int]) -> None:
        self._clock, self._refused = clock, refused
        self._listed = {f"d{number}": Listed(True) for number in range(count)}
        self._asked = 0

    async def connect(self) -> None: ...

    async def options(self) -> PluginOptions:
        return PluginOptions()

    async def devices(self) -> AsyncIterator[Mapping[str, Listed]]:
        yield self._listed
        await self._clock.sleep(1e9)

    async def prefer(self, choice: Choice) -> Sequence[str]:
        return ()

    async def allocate(self, resource: str, ids: Sequence[str]) -> Grant:
        self._asked += 1
        await self._clock.sleep(1)
        if self._asked in self._refused:
            raise PluginFailure("no")
        return Grant(resource, tuple(ids))

    async def pre_start(self, ids: Sequence[str]) -> None: ...

    async def close(self) -> None: ...


deeds = st.lists(
    st.tuples(
        st.sampled_from(["come", "come", "vanish", "end"]), st.integers(0, 3), st.integers(0, 2)
    ),
    min_size=2,
    max_size=16,
)


@settings(deadline=None, max_examples=40)
@given(deeds=deeds, refused=st.sets(st.integers(1, 8), max_size=2))
def test_no_device_is_two_pods(deeds: list[tuple[str, int, int]], refused: set[int]) -> None:
    with TemporaryDirectory() as path:
        asyncio.run(_played(Path(path), deeds, refused))


async def _played(path: Path, deeds: list[tuple[str, int, int]], refused: set[int]) -> None:
    clock, known = VirtualClock(), Assignments(path / "a.json")
    async with asyncio.TaskGroup() as crew:
        plugins = Plugins(clock, crew, lambda: None, DeviceMetrics())
        plugins.register(Registration("v1beta1", "x", RESOURCE), Slow(clock, 3, refused))
        await settle()
        allocator = Allocator(plugins, known, clock)
        coming: dict[int, asyncio.Task[None]] = {}
        for deed, number, seconds in deeds:
            if deed == "come" and number not in coming:
                coming[number] = crew.create_task(_come(allocator, number))
            elif number in coming and deed == "vanish":
                allocator.leave(_uid(number))
            elif number in coming and deed == "end" and coming[number].done():
                del coming[number]
                await allocator.take_back(_uid(number))
            await clock.advance(seconds)
            _check(known)
        while not all(task.done() for task in coming.values()):
            await clock.advance(1)
            await asyncio.to_thread(lambda: None)
        _check(known)
        await clock.advance(2e9)


async def _come(allocator: Allocator, number: int) -> None:
    wish = {"limits": {RESOURCE: "1"}}
    names = ("first", "second")[: 1 + number % 2]
    doc = pod(*(container(name, resources=wish) for name in names), name=str(number))
    try:
        await allocator.give(doc)
    except (DevicesMissing, PluginFailure):
        return


def _uid(number: int) -> str:
    return f"uid-{number}"


def _check(known: Assignments) -> None:
    held = [
        one for uid in known.pods() for grants in known.of(uid).values() for one in ids_of(grants, RESOURCE)
    ]  # fmt: skip
    assert len(held) == len(set(held)), held
