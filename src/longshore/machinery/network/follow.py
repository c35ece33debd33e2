"""Keep a ServiceTable true to the cluster, and tell its readers whose entries changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from longshore.base.clock import Clock
from longshore.core.objects.kinds import ENDPOINT_SLICE, SERVICE, Doc, Kind
from longshore.core.registry.client import Change, Client
from longshore.machinery.loop.follow import follow
from longshore.machinery.network.table import Key, ServiceTable


class Dirty:
    """Whose entries changed since a reader last asked. Keys are unique, so this is bounded by the
    services there are."""

    def __init__(self) -> None:
        self._keys: set[Key] = set()
        self._some = asyncio.Event()

    def add(self, keys: Iterable[Key]) -> None:
        self._keys.update(keys)
        if self._keys:
            self._some.set()

    async def take(self) -> set[Key]:
        """Wait until there are some, and take them all."""
        await self._some.wait()
        self._some.clear()
        taken, self._keys = self._keys, set()
        return taken


class ServiceWatch:
    """The table, fed by run()."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self.table = ServiceTable()
        self._client = client
        self._clock = clock
        self._readers: list[Dirty] = []
        self._seen: set[Kind] = set()
        self._whole = asyncio.Event()

    def reader(self) -> Dirty:
        """A new reader; what is in the table already counts as changed."""
        reader = Dirty()
        reader.add(self.table.keys())
        self._readers.append(reader)
        return reader

    async def synced(self) -> None:
        """Return once both kinds were read whole: before that, a service without endpoints may
        only look so."""
        await self._whole.wait()

    async def run(self) -> None:
        """Follow both kinds until cancelled."""
        table = self.table
        async with asyncio.TaskGroup() as group:
            for kind, replace, apply in (
                (SERVICE, table.services.replace, table.services.apply),
                (ENDPOINT_SLICE, table.replace_slices, table.apply_slices),
            ):
                whole, changes = self._snapshot_of(kind, replace), self._changes_with(apply)
                following = follow(self._client, kind, self._clock, whole, changes)
                group.create_task(following, name=f"follow {kind.plural}")

    def _snapshot_of(
        self, kind: Kind, replace: Callable[[Iterable[Doc]], set[Key]]
    ) -> Callable[[Iterable[Doc]], None]:
        def take(docs: Iterable[Doc]) -> None:
            self._tell(replace(docs))
            self._mark(kind)

        return take

    def _changes_with(
        self, apply: Callable[[Iterable[Change]], set[Key]]
    ) -> Callable[[Iterable[Change]], None]:
        return lambda changes: self._tell(apply(changes))

    def _tell(self, keys: set[Key]) -> None:
        for reader in self._readers:
            reader.add(keys)

    def _mark(self, kind: Kind) -> None:
        self._seen.add(kind)
        if len(self._seen) == 2:
            self._whole.set()
