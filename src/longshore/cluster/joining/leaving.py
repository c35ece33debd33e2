"""Take a machine out of its cluster again: everything that its agent made here, found by looking."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

from longshore.base.clock import SystemClock
from longshore.cluster.config import ClusterError, ClusterPaths
from longshore.cluster.host import cri
from longshore.cluster.host.processes import end, recorded
from longshore.cluster.joining.run import place_of
from longshore.machinery.network import lan
from longshore.machinery.network.errors import NetworkFailure
from longshore.machinery.network.node import clear_machine
from longshore.machinery.runtime.oci.destroy import destroy_all, leftovers
from longshore.machinery.runtime.protocol import RuntimeFailure

# How long an agent may take to end well.
_GRACE_S = 10.0


def remains(directory: Path) -> list[str]:
    """What leave() would remove, a line each. Raises ClusterError where no node is."""
    paths = _joined(directory)
    return list(_remains(paths))


def leave(directory: Path) -> None:
    """End the agent and all its pods, and remove what they had: processes, mounts, control groups,
    namespaces, routes, rules and files. The Node object stays with the cluster. Raises ClusterError, and then
    what is left can be removed by another leave()."""
    paths = _joined(directory)
    asyncio.run(end(list(recorded(paths.processes)), SystemClock(), _GRACE_S))
    try:
        _remove(paths)
    except (RuntimeFailure, NetworkFailure) as error:
        first = str(error).partition("\n")[0]
        raise ClusterError(f"not all that the node had is gone yet: {first}") from error
    shutil.rmtree(paths.home)


def _remove(paths: ClusterPaths) -> None:
    if (place := place_of(paths)) is not None:
        cri.leave(paths, place.name)
    destroy_all(paths.home / "nodes", paths.cgroup_parent)
    lan.tear_down(paths.namespaces)
    if place is not None:
        clear_machine(place)


def _joined(directory: Path) -> ClusterPaths:
    paths = ClusterPaths.of_machine(directory)
    if not (paths.place.exists() or paths.processes.exists()):
        raise ClusterError(f"{directory} is not the directory of a node that joined a cluster")
    if paths.config.exists():
        raise ClusterError(f"{directory} is a cluster's own: longshore down removes it")
    return paths


def _remains(paths: ClusterPaths) -> Iterator[str]:
    yield from (f"process {p.pid} ({p.role})" for p in recorded(paths.processes) if p.alive)
    yield from leftovers(paths.home / "nodes", paths.cgroup_parent)
    yield from (f"namespace {path}" for path in lan.leftovers(paths.namespaces))
    if (place := place_of(paths)) is not None:
        yield f"rules and routes of {place.pod_cidr} in this network namespace"
    yield f"directory {paths.home}"
