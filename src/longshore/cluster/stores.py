"""The store of a cluster: embedded for the only server there is, etcd for several."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from longshore.base.clock import Clock, SystemClock
from longshore.cluster.config import ClusterConfig, ClusterError, ClusterPaths, StoreConfig
from longshore.cluster.host import etcd
from longshore.cluster.settings import encryption
from longshore.core.store.protocol import SharedStore, Take
from longshore.core.store.sealed import SealedSharedStore, SealedStore
from longshore.core.store.sqlite import SqliteStore

EMBEDDED = "sqlite"
"""What --store says for the embedded store."""


def of_cluster(config: ClusterConfig, paths: ClusterPaths, name: str, clock: Clock) -> SealedStore:
    """The store that the server of that name opens, sealed by the cluster's keys."""
    sealing = encryption.of_cluster(paths)
    where = address_of(config, paths)
    if not where.address:
        return SealedStore(SqliteStore(paths.store), sealing)
    return SealedSharedStore(etcd_store(where, where.writer or name, clock), sealing)


def address_of(config: ClusterConfig, paths: ClusterPaths) -> StoreConfig:
    """Where the cluster's etcd is: its own members, or those of somebody else. No address: the
    store is embedded."""
    if not config.shared:
        return config.store
    pair = etcd.client_pair(paths)
    files = (etcd.authority_of(paths), pair.certificate, pair.key)
    return StoreConfig(etcd.address(config), *map(str, files))


def etcd_store(where: StoreConfig, writer: str, clock: Clock) -> SharedStore:
    """That etcd, written to as writer. What imports grpc is imported here: it takes a while, and the
    processes that are forked must not have it."""
    from longshore.core.store.etcd.store import EtcdStore, Naming

    return EtcdStore(_members(where, clock), clock, Naming(writer=writer))


@asynccontextmanager
async def members(where: StoreConfig, clock: Clock) -> AsyncIterator[Any]:
    """The Members of that etcd (core/store/etcd/members.py)."""
    found = _members(where, clock)
    try:
        yield found
    finally:
        await found.close()


def _members(where: StoreConfig, clock: Clock) -> Any:
    from longshore.core.store.etcd.members import Members, Tls, parse_address

    files = [Path(file) for file in (where.authority, where.certificate, where.key) if file]
    return Members(parse_address(where.address), clock, Tls(*files) if files else None)


def contents(config: ClusterConfig, paths: ClusterPaths, take: Take) -> int:
    """Hand over all that is in the store of a cluster that does not run, as it is kept; as of which
    revision. Raises StoreError, ClusterError."""
    if config.shared:
        raise ClusterError(
            f"the etcd of {config.name!r} is its own, and none but its servers reach it: "
            f"longshore start --name {config.name}, then longshore backup reads it through them"
        )
    return asyncio.run(_contents(config.store, paths, take))


async def _contents(where: StoreConfig, paths: ClusterPaths, take: Take) -> int:
    if where.address:
        shared = etcd_store(where, "", SystemClock())
        try:
            return await shared.read(take)
        finally:
            await shared.close()
    store = SqliteStore(paths.store)
    try:
        return await store.open(take)
    finally:
        await store.close()


def checked(where: StoreConfig) -> StoreConfig:
    """What a command was given for --store and its certificates; files as absolute paths. Raises
    ClusterError."""
    from longshore.core.store.etcd.members import parse_address

    files = (where.authority, where.certificate, where.key)
    if where.address in ("", EMBEDDED):
        if any(files):
            raise ClusterError(
                "--store-ca, --store-cert and --store-key go with --store etcd://..."
            )
        return StoreConfig()
    try:
        parse_address(where.address)
    except ValueError as error:
        raise ClusterError(f"--store {error}") from None
    if any(files) and not all(files):
        raise ClusterError(
            "--store-ca, --store-cert and --store-key go together: etcd knows by them who asks"
        )
    for file in filter(None, files):
        if not Path(file).is_file():
            raise ClusterError(f"there is no file {file}")
    authority, certificate, key = (str(Path(file).absolute()) if file else "" for file in files)
    return replace(where, authority=authority, certificate=certificate, key=key)
