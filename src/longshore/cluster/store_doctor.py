"""Whether a stopped cluster's store is sound: all of it read and checked."""

from __future__ import annotations

from longshore.cluster import stores
from longshore.cluster.config import ClusterConfig, ClusterPaths
from longshore.cluster.doctor import Finding
from longshore.cluster.settings import encryption
from longshore.core.store.protocol import StoreError
from longshore.core.store.sealing import header_of
from longshore.core.store.sqlite_check import faults as store_faults


def examine_store(paths: ClusterPaths) -> list[Finding]:
    """All of a stopped cluster's store, read and checked; an embedded one that runs has it locked. A
    start reads it too, but for its free pages. Raises ClusterError if there is no such cluster."""
    config = paths.load()
    if config.elects:
        return [_etcd(config, paths)]
    what = f"the store {paths.store}"
    found = [Finding(what, ok=False, mend=fault) for fault in store_faults(paths.store)]
    return found or [Finding(what, ok=True)]


def _etcd(config: ClusterConfig, paths: ClusterPaths) -> Finding:
    """Whether etcd answers, and the cluster's keys open all that is in it."""
    count, sealing = 0, encryption.of_cluster(paths)

    def take(key: str, value: bytes, _: int) -> None:
        nonlocal count
        if header := header_of(value):
            sealing.reader(key, header).unseal(key, value)
        count += 1

    what = f"the store {config.store.address}"
    try:
        revision = stores.contents(config, paths, take)
    except StoreError as error:
        return Finding(what, ok=False, mend=str(error))
    return Finding(f"{what}: {count} objects as of revision {revision}", ok=True)
