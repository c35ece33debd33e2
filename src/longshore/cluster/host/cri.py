"""Nodes whose containers are run by a CRI runtime: where that is, and its driver."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import orjson

from longshore.base.clock import SystemClock
from longshore.base.files import write_private
from longshore.cluster.config import ClusterError, ClusterPaths
from longshore.machinery.runtime.cri import network
from longshore.machinery.runtime.emptying import remove_all
from longshore.machinery.runtime.protocol import Runtime, RuntimeFailure

_RECORD = "cri.json"


@dataclass(frozen=True, slots=True)
class CriPlace:
    """A CRI runtime that is to run a node's containers: its endpoint (unix:///PATH), and the directory where its
    CNI plug-in (machinery/runtime/cri/network.py) looks for the networks of pods."""

    endpoint: str
    networks: Path


@dataclass(frozen=True, slots=True)
class CriRequest:
    """What the command line says of the runtime of a machine that joins: its endpoint, and where it looks for
    CNI configurations and programs."""

    endpoint: str = "unix:///run/containerd/containerd.sock"
    configurations: Path = Path("/etc/cni/net.d")
    programs: Path = Path("/opt/cni/bin")


def driver(place: CriPlace, node: str, cgroup_parent: str) -> Runtime:
    """A node's, for the loop that runs. gRPC is imported here, by whoever needs it."""
    run: Any = import_module("longshore.machinery.runtime.cri.run")
    runtime: Runtime = run.CriRuntime(
        place.endpoint,
        network.Handover(place.networks),
        SystemClock(),
        node=node,
        cgroup_parent=cgroup_parent,
        log=logging.getLogger("longshore.runtime").warning,
    )
    return runtime


def settle(paths: ClusterPaths, request: CriRequest) -> CriPlace:
    """Give the runtime of a machine our CNI plug-in, and note where it is. Raises ClusterError."""
    networks = paths.home / "networks"
    try:
        write_private(paths.home / _RECORD, orjson.dumps(asdict(request), default=str))
        network.install(networks, configurations=request.configurations, programs=request.programs)
    except OSError as error:
        raise ClusterError(f"the CNI plug-in of the runtime cannot be written: {error}") from error
    return CriPlace(request.endpoint, networks)


def settled(paths: ClusterPaths) -> CriRequest | None:
    """What was noted of the runtime of a machine, if its containers are run by one."""
    try:
        noted = orjson.loads((paths.home / _RECORD).read_bytes())
    except FileNotFoundError:
        return None
    places = {one: Path(noted[one]) for one in ("configurations", "programs")}
    return CriRequest(noted["endpoint"], **places)


def leave(paths: ClusterPaths, node: str) -> None:
    """Take everything of a node from a machine's runtime, and the plug-in too. A runtime that does not answer
    is left alone: it has nothing that runs, or nobody can tell."""
    request = settled(paths)
    if request is None:
        return
    place = CriPlace(request.endpoint, paths.home / "networks")
    with contextlib.suppress(RuntimeFailure):
        clear(place, node, f"{paths.cgroup_parent}/{node}")
    network.uninstall(configurations=request.configurations, programs=request.programs)


def clear(place: CriPlace, node: str, cgroup_parent: str) -> None:
    """Remove all that a runtime has of a node whose agent has ended. Raises RuntimeFailure."""
    asyncio.run(_clear(place, node, cgroup_parent))


async def _clear(place: CriPlace, node: str, cgroup_parent: str) -> None:
    runtime = driver(place, node, cgroup_parent)
    try:
        await runtime.open()
        await remove_all(runtime)
    finally:
        await runtime.close()
