"""Backups of a server that is written to, each restored into a fresh store of the other kind and looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson

from longshore.base.clock import SystemClock
from longshore.cluster import stores
from longshore.cluster.backup import form
from longshore.cluster.backup.restore import RestoreRequest, restore
from longshore.cluster.backup.take import backup
from longshore.cluster.config import ClusterPaths, StoreConfig
from tests.cluster.test_standalone import Running
from tests.core.store.etcds import running
from tests.ports import free_port
from tests.proof.judged import Verdict
from tests.proof.kills import pool_of
from tests.proof.load import Counts
from tests.proof.transfers import Snapshot, Transfers

WRITERS = 16
_MAPS = "/core/configmaps/default/"
# Writes that are acknowledged between two backups, and how often that is looked at.
_BETWEEN, _PAUSE_S = 100, 0.02


@dataclass(frozen=True)
class Backup:
    """A file, and what had been acknowledged when it was asked for."""

    file: Path
    newest_before: int


async def prove(root: Path, backups: int, *, writers: int = WRITERS) -> list[Verdict]:
    """So many of each kind of store."""
    root.mkdir(parents=True)
    with _etcd(root / "etcd") as address:
        from_etcd = await _proved(root / "from-etcd", address, backups, writers)
    return [await _proved(root / "from-sqlite", "", backups, writers), from_etcd]


async def _proved(root: Path, address: str, count: int, writers: int) -> Verdict:
    root.mkdir()
    options = ("--store", address) if address else ()
    server = await asyncio.to_thread(Running, root / "source", free_port(), *options)
    load = Transfers(pool_of(server), writers)
    try:
        async with asyncio.TaskGroup() as crew:
            crew.create_task(load.run())
            taken = [await _backup(root / f"{n}", server, load) for n in range(count)]
            load.stop()
    finally:
        load.pool.close()
        server.kill()
    wrong: list[str] = []
    for one in taken:
        found = await asyncio.to_thread(_restored, one, server.paths, not address)
        wrong += (f"{one.file.name}: {what}" for what in _contradictions(load, one, found))
    kinds = ("etcd", "SQLite") if address else ("SQLite", "etcd")
    what = "{} backups of {} under load, each restored into {}".format(count, *kinds)
    return Verdict(what, Counts(load.writes, load.writes, 0, len(wrong)), wrong)


async def _backup(file: Path, server: Running, load: Transfers) -> Backup:
    goal = load.writes + _BETWEEN
    while load.writes < goal:
        await SystemClock().sleep(_PAUSE_S)
    newest = load.newest
    await asyncio.to_thread(backup, file, "default", server.paths.root, told=_nobody)
    return Backup(file, newest)


def _restored(one: Backup, source: ClusterPaths, into_etcd: bool) -> dict[str, bytes]:
    """What a server would find, by key, after the backup was restored into a store of that kind."""
    if not into_etcd:
        return _contents(one.file, source, StoreConfig())
    with _etcd(one.file.with_suffix(".etcd")) as address:
        return _contents(one.file, source, StoreConfig(address))


def _contents(file: Path, source: ClusterPaths, store: StoreConfig) -> dict[str, bytes]:
    root = file.with_suffix(".root")
    restore(RestoreRequest(file, root=root, keys=source.encryption, store=store), _nobody)
    paths = ClusterPaths(root, "default")
    found: dict[str, bytes] = {}

    def take(key: str, value: bytes, revision: int) -> None:
        found[key] = value

    stores.contents(paths.load(), paths, take)
    return found


def _contradictions(load: Transfers, one: Backup, found: dict[str, bytes]) -> Iterator[str]:
    records = [*form.records(one.file)]
    if found != {record.key: record.value for record in records}:
        yield "what was restored is not what was backed up"
    revision = form.verified(one.file).revision
    late = [record.key for record in records if record.revision > revision]
    if late:
        yield f"it is as of {revision}, and has later ones: {late}"
    maps = {key.removeprefix(_MAPS): value for key, value in found.items() if key.startswith(_MAPS)}
    docs = {name: orjson.loads(value) for name, value in maps.items()}
    revisions = {record.key.removeprefix(_MAPS): record.revision for record in records}
    yield from load.contradictions(Snapshot(revision, docs, revisions), one.newest_before)


@contextmanager
def _etcd(folder: Path) -> Iterator[str]:
    folder.mkdir(parents=True)
    with running(folder) as cluster:
        yield f"etcd://{cluster.endpoints[0]}"


def _nobody(done: int, objects: int) -> None:
    """Nobody is told how far it is."""
