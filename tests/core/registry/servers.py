"""Registries that share one etcd, as several servers do, with short words for tests."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from longshore.base.chance import Chance
from longshore.base.clock import SystemClock
from longshore.base.users import User
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.registry import Registry, RegistryConfig
from longshore.core.store.etcd.members import Members
from longshore.core.store.etcd.store import EtcdStore, Naming
from longshore.core.store.sealed import SealedSharedStore
from longshore.core.store.sealing import Sealing
from tests.core.store.etcds import Cluster

ADMIN = User("admin", ("system:masters",))
_PREFIXES = itertools.count()


class Server:
    """One of them. seed keeps what they draw apart, or the same."""

    def __init__(
        self,
        cluster: Cluster,
        prefix: str,
        name: str,
        seed: int,
        config: RegistryConfig | None = None,
    ) -> None:
        clock = SystemClock()
        self.members = Members(cluster.endpoints, clock)
        self.etcd = EtcdStore(self.members, clock, Naming(prefix, name))
        self.store = SealedSharedStore(self.etcd, Sealing({}))
        self.registry = Registry(self.store, clock, Chance.seeded(seed), config)

    async def create(self, kind: Kind, doc: Doc, namespace: str = "default") -> Doc:
        where = namespace if kind.namespaced else ""
        stored, _ = await self.registry.create(ADMIN, kind, doc, namespace=where)
        return stored.doc

    def names(self, kind: Kind) -> list[str]:
        return [doc["metadata"]["name"] for doc in self.registry.cache.all(kind)]

    async def newest(self, kind: Kind) -> list[str]:
        await self.registry.confirm()
        return self.names(kind)


def new_prefix() -> str:
    return f"/servers/{next(_PREFIXES)}"


@asynccontextmanager
async def running(*servers: Server) -> AsyncIterator[None]:
    """Open and run them, and the namespace "default" is there."""
    for server in servers:
        await server.registry.open()
    async with asyncio.TaskGroup() as crew:
        tasks = [crew.create_task(server.registry.run()) for server in servers]
        yield
        for task in tasks:
            task.cancel()
    for server in servers:
        await server.registry.close()
