"""The store of a cluster: embedded for the only server there is, etcd for several."""

from __future__ import annotations

from longshore.base.clock import Clock
from longshore.cluster import encryption
from longshore.cluster.config import ClusterConfig, ClusterPaths
from longshore.core.store.sealed import SealedStore
from longshore.core.store.sqlite import SqliteStore


def of_cluster(config: ClusterConfig, paths: ClusterPaths, name: str, clock: Clock) -> SealedStore:
    """The store that the server of that name opens, sealed by the cluster's keys."""
    return SealedStore(SqliteStore(paths.store), encryption.of_cluster(paths))
