"""Writes behind a fence: they count while the Lease is held, in that very term."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from longshore.base.chance import Chance
from longshore.base.users import loop_user
from longshore.core.objects import kinds
from longshore.core.objects.errors import Conflict, Unavailable
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Create, Patch
from longshore.core.registry.fencing import Fence
from longshore.core.registry.inprocess import InProcess
from longshore.core.registry.registry import Registry
from longshore.core.store.memory import MemoryStore
from longshore.core.store.protocol import Write
from longshore.testing.clock import VirtualClock

LEASE = ("default", "boss")


class Shared(MemoryStore):
    """A store that somebody else writes to as well: other is done just before the next commit."""

    def __init__(self) -> None:
        super().__init__()
        self.other: list[Write] = []

    async def commit(self, writes: Sequence[Write]) -> list[int]:
        others, self.other = self.other, []
        assert all(await super().commit(others))
        return await super().commit(writes)


class House:
    """A registry with a Lease held by "a", in its term 1."""

    def __init__(self, registry: Registry, store: Shared) -> None:
        self.registry, self.store = registry, store
        self.free = InProcess(registry, loop_user("free"))

    def behind(self, holder: str, transitions: int) -> InProcess:
        fence = Fence(*LEASE, holder, transitions)
        return InProcess(self.registry, loop_user("loop"), fence)

    async def give(self, holder: str, transitions: int) -> None:
        spec = {"holderIdentity": holder or None, "leaseTransitions": transitions}
        await self.free.write(Patch(kinds.LEASE, *LEASE, {"spec": spec}))

    def names(self) -> list[str]:
        return [doc["metadata"]["name"] for doc in self.registry.cache.all(kinds.CONFIG_MAP)]


@pytest.fixture
async def house() -> AsyncIterator[House]:
    store = Shared()
    registry = Registry(store, VirtualClock(), Chance(1))
    await registry.open()
    async with asyncio.TaskGroup() as crew:
        running = crew.create_task(registry.run())
        house = House(registry, store)
        await house.free.write(Create(kinds.NAMESPACE, {"metadata": {"name": "default"}}))
        await house.free.write(Create(kinds.LEASE, lease("a", 1)))
        yield house
        running.cancel()


def lease(holder: str, transitions: int) -> Doc:
    spec = {
        "holderIdentity": holder, "leaseTransitions": transitions, "leaseDurationSeconds": 15,
    }  # fmt: skip
    return {"metadata": {"namespace": LEASE[0], "name": LEASE[1]}, "spec": spec}


def config_map(name: str) -> Create:
    return Create(kinds.CONFIG_MAP, {"metadata": {"namespace": "default", "name": name}})


async def test_the_holder_writes_also_after_it_renewed(house: House) -> None:
    client = house.behind("a", 1)
    await client.write(config_map("one"))
    await house.give("a", 1)
    await client.write(Patch(kinds.LEASE, *LEASE, {"spec": {"leaseDurationSeconds": 16}}))
    await client.submit([config_map("two"), config_map("three")])
    assert house.names() == ["one", "three", "two"]


@pytest.mark.parametrize(("holder", "transitions"), [("b", 2), ("a", 2), ("", 1)])
async def test_nothing_is_written_in_a_term_that_is_over(
    house: House, holder: str, transitions: int
) -> None:
    client = house.behind("a", 1)
    await house.give(holder, transitions)
    with pytest.raises(Unavailable, match="default/boss is no longer held by a"):
        await client.write(config_map("one"))
    answers = await client.submit([config_map("two"), config_map("three")])
    assert [type(answer) for answer in answers] == [Unavailable, Unavailable]
    assert house.names() == []


async def test_a_lease_that_another_server_took_is_noticed_by_the_store(house: House) -> None:
    """This server has not heard of it: what it plans is right, and comes to nothing."""
    key = kinds.LEASE.key(*LEASE)
    at = house.registry.cache.shelf(kinds.LEASE).get(key)
    assert at is not None
    house.store.other = [Write(key, b"taken by another server", at.revision)]
    with pytest.raises(Conflict):
        await house.behind("a", 1).write(config_map("late"))
    assert house.names() == []
