"""A registry over the memory store, under the virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from longshore.base.chance import Chance
from longshore.base.users import User
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.inprocess import InProcess
from longshore.core.registry.registry import Registry
from longshore.core.store.memory import MemoryStore
from longshore.testing.clock import VirtualClock

ADMIN = User("admin", ("system:masters",))


class Desk:
    """The registry with short words for tests."""

    def __init__(self, registry: Registry, clock: VirtualClock) -> None:
        self.registry = registry
        self.clock = clock
        self.client = InProcess(registry, ADMIN)

    async def create(self, kind: Kind, doc: Doc, namespace: str = "default") -> Doc:
        stored, _ = await self.registry.create(
            ADMIN, kind, doc, namespace=namespace if kind.namespaced else ""
        )
        return stored.doc


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    clock = VirtualClock()
    registry = Registry(MemoryStore(), clock, Chance.seeded(1))
    await registry.open()
    async with asyncio.TaskGroup() as crew:
        running = crew.create_task(registry.run())
        desk = Desk(registry, clock)
        for name in ("default", "other"):
            await desk.create(kinds.NAMESPACE, {"metadata": {"name": name}})
        yield desk
        running.cancel()
    await registry.close()
