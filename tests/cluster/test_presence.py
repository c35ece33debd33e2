"""The `kubernetes` Service leads to the servers that are there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from longshore.base.chance import Chance
from longshore.base.users import loop_user
from longshore.cluster.server.bootstrap import bootstrap
from longshore.cluster.server.presence import LivingServers, Me, Presence
from longshore.core.objects.kinds import ENDPOINT_SLICE, ENDPOINTS, LEASE
from longshore.core.registry.client import Create
from longshore.core.registry.inprocess import InProcess
from longshore.core.registry.registry import Registry
from longshore.core.store.memory import MemoryStore
from longshore.testing.clock import VirtualClock, settle

ADDRESSES = ["10.90.0.2", "10.90.0.3", "10.90.0.4"]
Servers = list["asyncio.Task[None]"]


class World:
    def __init__(self, registry: Registry, clock: VirtualClock, servers: Servers) -> None:
        self.registry, self.clock, self.servers = registry, clock, servers

    @property
    def targets(self) -> list[str]:
        """Where the Service leads; Endpoints and EndpointSlice agree."""
        cache = self.registry.cache
        endpoints = cache.get(ENDPOINTS, "default", "kubernetes")
        endpoint_slice = cache.get(ENDPOINT_SLICE, "default", "kubernetes")
        assert endpoints is not None and endpoint_slice is not None
        found = [one["ip"] for one in endpoints["subsets"][0]["addresses"]]
        assert found == [one["addresses"][0] for one in endpoint_slice["endpoints"]]
        return found


@pytest.fixture
async def world() -> AsyncIterator[World]:
    clock = VirtualClock()
    registry = Registry(MemoryStore(), clock, Chance(1))
    await registry.open()
    client = InProcess(registry, loop_user("test"))
    async with asyncio.TaskGroup() as outer:
        running = outer.create_task(registry.run())
        await bootstrap(client, [(address, 6443) for address in ADDRESSES])
        async with asyncio.TaskGroup() as crew:
            tasks = [
                crew.create_task(Presence(Me(f"server-{n}", address, 15), client, clock).run())
                for n, address in enumerate(ADDRESSES)
            ]
            living = crew.create_task(LivingServers(client, clock).run())
            yield World(registry, clock, tasks)
            for task in (*tasks, living):
                task.cancel()
        running.cancel()


async def test_all_are_there_and_nothing_is_written_over_and_over(world: World) -> None:
    await world.clock.advance(2)
    before = world.registry.cache.get(ENDPOINTS, "default", "kubernetes")
    await world.clock.advance(60)
    assert world.targets == ADDRESSES
    assert world.registry.cache.get(ENDPOINTS, "default", "kubernetes") == before


async def test_who_ends_well_is_left_out_at_once(world: World) -> None:
    await world.clock.advance(2)
    world.servers[1].cancel()
    await settle()
    await world.clock.advance(1.1)
    assert world.targets == ["10.90.0.2", "10.90.0.4"]


async def test_who_falls_silent_is_left_out_when_its_lease_is_over(world: World) -> None:
    client = InProcess(world.registry, loop_user("test"))
    crew = asyncio.ensure_future(Presence(Me("killed", "10.90.0.5", 15), client, world.clock).run())
    await world.clock.advance(2)
    assert world.targets == [*ADDRESSES, "10.90.0.5"]
    lease = await client.get(LEASE, "kube-system", "apiserver-killed")
    crew.cancel()
    await settle()
    await world.clock.advance(1.1)
    assert world.targets == ADDRESSES
    metadata = {
        key: lease["metadata"][key] for key in ("name", "namespace", "labels", "annotations")
    }
    await client.write(Create(LEASE, {"metadata": metadata, "spec": lease["spec"]}))
    await world.clock.advance(14)
    assert world.targets == [*ADDRESSES, "10.90.0.5"]
    await world.clock.advance(3)
    assert world.targets == ADDRESSES
