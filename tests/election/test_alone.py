"""A server that is the only one of its store tells in Leases that it leads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from longshore.base.chance import Chance
from longshore.base.clock import parse_rfc3339
from longshore.base.users import loop_user
from longshore.core.objects.kinds import LEASE, NAMESPACE, Doc
from longshore.core.registry.client import Create, Delete
from longshore.core.registry.inprocess import InProcess
from longshore.core.registry.registry import Registry
from longshore.core.store.memory import MemoryStore
from longshore.machinery.election.alone import OnlyLeader
from longshore.machinery.election.plan import Rules
from longshore.testing.clock import VirtualClock, settle

NAMES = ("kube-controller-manager", "kube-scheduler")


@asynccontextmanager
async def holding(
    registry: Registry, clock: VirtualClock, identity: str
) -> AsyncIterator[InProcess]:
    client = InProcess(registry, loop_user("test"))
    async with asyncio.TaskGroup() as crew:
        only = OnlyLeader(registry.cache, client, clock, identity)
        task = crew.create_task(only.hold("kube-system", NAMES, Rules()))
        await settle()
        yield client
        task.cancel()


def specs(registry: Registry) -> list[Doc]:
    found = {one["metadata"]["name"]: one["spec"] for one in registry.cache.all(LEASE)}
    return [found[name] for name in NAMES]


async def test_leases_are_made_renewed_in_time_and_change_hands_at_once() -> None:
    clock = VirtualClock()
    registry = Registry(MemoryStore(), clock, Chance.seeded(1))
    await registry.open()
    async with asyncio.TaskGroup() as crew:
        task = crew.create_task(registry.run())
        async with holding(registry, clock, "server_1") as client:
            assert registry.cache.all(LEASE) == [], "the namespace is not there yet"
            await client.write(Create(NAMESPACE, {"metadata": {"name": "kube-system"}}))
            await clock.advance(2.0)
            for spec in specs(registry):
                assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("server_1", 0)
            for _ in range(60):
                await clock.advance(1.0)
                for spec in specs(registry):
                    age_s = clock.now() - parse_rfc3339(spec["renewTime"])
                    assert age_s < spec["leaseDurationSeconds"]
            await client.write(Delete(LEASE, "kube-system", NAMES[0]))
            await clock.advance(10.0)
            assert [spec["leaseTransitions"] for spec in specs(registry)] == [0, 0]
        async with holding(registry, clock, "server_2"):
            for spec in specs(registry):
                assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("server_2", 1)
                assert parse_rfc3339(spec["acquireTime"]) == clock.now()
        task.cancel()
