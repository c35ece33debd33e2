"""Which nodes a local cluster has, and where on its LAN they are: changed in cluster.json alone, under
a lock, since a person and an autoscaler may do so at the same time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count, islice
from typing import TypeAlias

from longshore.cluster.config import (
    GATEWAY,
    NAME_FORM,
    NODES_MAX,
    PROVISIONER,
    ClusterConfig,
    ClusterError,
    ClusterPaths,
)

Changed: TypeAlias = Callable[[ClusterConfig], ClusterConfig]


def change(paths: ClusterPaths, changed: Changed) -> tuple[ClusterConfig, ClusterConfig]:
    """Write down what becomes of the cluster's configuration; as it was and as it is. Blocks while
    somebody else changes it. Raises ClusterError."""
    with locked(paths):
        before = paths.load()
        after = changed(before)
        if after != before:
            paths.save(after)
        return before, after


def with_nodes(config: ClusterConfig, names: Sequence[str]) -> ClusterConfig:
    """With some more; each gets the lowest number that is free. Raises ClusterError."""
    places = dict(config.places)
    for name in names:
        _check(name, config)
        if name in places:
            raise ClusterError(f"there is a node {name!r} already: choose another name")
        places[name] = next(_free(places))
    if len(places) > NODES_MAX:
        raise ClusterError(
            f"{len(names)} more would be {len(places)} nodes: a cluster here has 1 to {NODES_MAX}"
        )
    return _of(config, places)


def without_nodes(config: ClusterConfig, names: Iterable[str]) -> ClusterConfig:
    """Without some; those that are not there are none."""
    gone = set(names)
    return _of(config, {name: at for name, at in config.places.items() if name not in gone})


def fresh_names(config: ClusterConfig, wanted: int) -> list[str]:
    """Names that no node has: node-N, by the lowest numbers that are free. Up to NODES_MAX of them."""
    names = (f"node-{number}" for number in _free(config.places))
    return list(islice((name for name in names if name not in config.places), wanted))


def _free(places: Mapping[str, int]) -> Iterator[int]:
    taken = set(places.values())
    return (number for number in count(1) if number not in taken)


def _of(config: ClusterConfig, places: Mapping[str, int]) -> ClusterConfig:
    return replace(config, nodes=len(places), roster=tuple(places.items()))


def _check(name: str, config: ClusterConfig) -> None:
    if not NAME_FORM.fullmatch(name):
        raise ClusterError(
            f"{name!r} is no name for a node: use up to 32 of a-z, 0-9 and -, "
            "beginning and ending with a letter or digit"
        )
    taken = [*config.server_names, *config.member_names, GATEWAY, PROVISIONER, "lan"]
    if name in taken or name.endswith("-pods"):
        raise ClusterError(f"{name!r} is what another part of the cluster is called")


@contextmanager
def locked(paths: ClusterPaths) -> Iterator[None]:
    """While nobody else changes which nodes there are, or what is below them. Blocks; not to be nested."""
    descriptor = os.open(paths.lock, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
