"""Where a restore puts a cluster's objects: in a file, or in etcd. They are written aside first, and
put in place at once."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from itertools import islice
from typing import Any, Protocol

from longshore.base.clock import SystemClock
from longshore.cluster import stores
from longshore.cluster.backup import form
from longshore.cluster.backup.form import Record
from longshore.cluster.config import ClusterError, ClusterPaths, StoreConfig
from longshore.core.store.protocol import StoreError, Write
from longshore.core.store.sqlite import SqliteStore

_BATCH = 1024
Add = Callable[[Sequence[Write]], Awaitable[Sequence[int]]]
Written = Callable[[int], object]
"""Hears how many objects are written."""


class Place(Protocol):
    """One of them. All methods raise ClusterError."""

    def fill(self, records: Iterator[Record], above: int, written: Written) -> None:
        """Write records aside, numbered above a revision."""

    def clear(self) -> None:
        """Let go of what the restore before this one has left. Not after one that was cut off: then
        it is what the cluster had."""

    def put(self) -> None:
        """Put what was written in place."""


class InFile:
    """The embedded store. The one of before stays beside it."""

    def __init__(self, paths: ClusterPaths) -> None:
        self._name = paths.store.name
        self._state = paths.store.parent
        self._aside = self._state.with_name("state.restored")
        self._old = self._state.with_name("state.before-restore")

    def fill(self, records: Iterator[Record], above: int, written: Written) -> None:
        shutil.rmtree(self._aside, ignore_errors=True)
        _run(self._write(records, above, written))

    async def _write(self, records: Iterator[Record], above: int, written: Written) -> None:
        store = SqliteStore(self._aside / self._name)
        await store.open(lambda *_: None)
        try:
            store.begin_above(above)
            await _copy(records, store.commit, written)
        finally:
            await store.close()
        form.synchronise(self._aside)

    def clear(self) -> None:
        shutil.rmtree(self._old, ignore_errors=True)

    def put(self) -> None:
        """If the old store is aside already, then what is in its place is of a restore that was
        cut off."""
        if self._old.exists():
            shutil.rmtree(self._state, ignore_errors=True)
        elif self._state.exists():
            self._state.rename(self._old)
        self._aside.rename(self._state)


class InEtcd:
    """An etcd. What was in it stays there until the next restore; servers that still run on it end."""

    def __init__(self, where: StoreConfig) -> None:
        self._where = where
        self._generation: Any = None

    def fill(self, records: Iterator[Record], above: int, written: Written) -> None:
        _run(self._write(records, above, written))

    async def _write(self, records: Iterator[Record], above: int, written: Written) -> None:
        from longshore.core.store.etcd import restoring

        clock = SystemClock()
        async with stores.members(self._where, clock) as members:
            self._generation, add = await restoring.begin(members, clock, above)
            await _copy(records, add, written)

    def clear(self) -> None:
        """Nothing: to put it in place does that."""

    def put(self) -> None:
        _run(self._put())

    async def _put(self) -> None:
        from longshore.core.store.etcd import restoring

        async with stores.members(self._where, SystemClock()) as members:
            await restoring.put_in_place(members, self._generation)


def place_of(paths: ClusterPaths, where: StoreConfig) -> Place:
    return InEtcd(where) if where.address else InFile(paths)


async def _copy(records: Iterator[Record], add: Add, written: Written) -> None:
    done = 0
    while batch := [Write(one.key, one.value, 0) for one in islice(records, _BATCH)]:
        revisions = await add(batch)
        assert all(revisions), "the place was empty"
        done += len(batch)
        written(done)


def _run(work: Coroutine[None, None, None]) -> None:
    try:
        asyncio.run(work)
    except StoreError as error:
        raise ClusterError(str(error)) from None
