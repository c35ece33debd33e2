"""Add nodes to a running cluster by hand, remove them, and list them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from longshore.base.clock import SystemClock
from longshore.cluster.client.administrator import with_admin
from longshore.cluster.client.probe import is_ready
from longshore.cluster.config import (
    ClusterConfig,
    ClusterError,
    ClusterPaths,
    check_name,
    default_root,
)
from longshore.cluster.host.processes import recorded
from longshore.cluster.local.starting import UpResult
from longshore.cluster.local.up import start
from longshore.cluster.nodes import roster
from longshore.cluster.nodes.drain import Consent, drain
from longshore.cluster.nodes.hollow import in_server, tell_server
from longshore.cluster.nodes.machines import remove_machine
from longshore.core.objects import kinds
from longshore.core.objects.errors import ApiError, NotFound
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Delete
from longshore.doors.kubernetes.client import HttpClient

Phase = Callable[[str], AbstractContextManager[None]]
Say = Callable[[str], None]
_LOOK_S = 0.02
# How long a server may take to let go of a hollow node.
_FORGET_S = 10.0


@dataclass(frozen=True, slots=True)
class Where:
    """A cluster by its name and the root of all clusters (None: the usual one)."""

    name: str
    root: Path | None

    @property
    def paths(self) -> ClusterPaths:
        return ClusterPaths((self.root or default_root()).absolute(), check_name(self.name))


def add(
    where: Where, name: str, count: int, wait_s: float, phase: Phase
) -> tuple[list[str], UpResult]:
    """Nodes of that name, or with names of their own (none said), Ready. Raises ClusterError."""
    paths = where.paths
    _require_running(paths)
    if name and count != 1:
        raise ClusterError(f"--count {count}: only nodes without a NAME are added by number")
    before, after = roster.change(paths, partial(_with_more, name=name, count=count))
    added = [node for node in after.places if node not in before.places]
    tell_server(after, paths)
    return added, start(where.name, where.root, wait_s, phase)


def _with_more(config: ClusterConfig, name: str, count: int) -> ClusterConfig:
    return roster.with_nodes(config, [name] if name else roster.fresh_names(config, count))


def remove(where: Where, node: str, consent: Consent, wait_s: float, say: Say) -> None:
    """Drain a node, end it and take it away. Raises ClusterError; what was not finished is by the same
    call once more."""
    paths = where.paths
    _require_running(paths)
    config = paths.load()
    if node not in config.places:
        known = ", ".join(config.places)
        raise ClusterError(f"no node is called {node!r} in {where.name!r} (there: {known})")
    if len(config.places) == 1:
        raise ClusterError(
            f"{node} is the only node of {where.name!r}: longshore down removes both"
        )
    with_admin(config, paths, partial(_drained, node, consent, wait_s, say))
    if in_server(config):
        after = roster.change(paths, partial(roster.without_nodes, names=[node]))[1]
        tell_server(after, paths)
        with_admin(config, paths, partial(_await_gone, node))
    else:
        remove_machine(config, paths, node)
        with_admin(config, paths, partial(_deleted, node))
        roster.change(paths, partial(roster.without_nodes, names=[node]))
    say(f"{node} is gone")


async def _drained(
    node: str, consent: Consent, wait_s: float, say: Say, client: HttpClient
) -> None:
    try:
        await drain(client, SystemClock(), node, consent, wait_s, say)
    except NotFound:
        say(f"{node} is not in the API: there is nothing to drain")


async def _deleted(node: str, client: HttpClient) -> None:
    try:
        await client.write(Delete(kinds.NODE, "", node))
    except NotFound:
        return


async def _await_gone(node: str, client: HttpClient) -> None:
    clock = SystemClock()
    deadline = clock.monotonic() + _FORGET_S
    while clock.monotonic() < deadline:
        try:
            await client.get(kinds.NODE, "", node)
        except NotFound:
            return
        await clock.sleep(_LOOK_S)
    raise ClusterError(f"the server has not let {node} go within {_FORGET_S:g} s: see its log")


def listed(where: Where) -> list[dict[str, Any]]:
    """One dictionary a node: name, status as kubectl has it, address, pods (how many are there), pid of
    its process (0: it has none), and the directory of its kubelet (none for hollow nodes). Without a server only
    what files say."""
    paths = where.paths
    config = paths.load()
    agents = {one.role: one.pid for one in recorded(paths.processes) if one.alive}
    try:
        nodes, pods = with_admin(config, paths, _nodes_and_pods)
    except ClusterError:
        nodes, pods = {}, []
    return [
        _summary(name, nodes.get(name), pods, agents.get(name, 0))
        | {"kubelet": "" if config.hollow else str(paths.kubelet(name))}
        for name in config.node_names
    ]


async def _nodes_and_pods(client: HttpClient) -> tuple[dict[str, Doc], Sequence[Doc]]:
    try:
        nodes = (await client.list(kinds.NODE)).items
        return {one["metadata"]["name"]: one for one in nodes}, (await client.list(kinds.POD)).items
    except ApiError as error:
        raise ClusterError(str(error)) from error


def _summary(name: str, node: Doc | None, pods: Sequence[Doc], pid: int) -> dict[str, Any]:
    there = [pod for pod in pods if pod["spec"].get("nodeName") == name]
    return {
        "name": name,
        "status": _status(node),
        "address": _address(node),
        "pods": len(there),
        "pid": pid,
    }


def _status(node: Doc | None) -> str:
    if node is None:
        return "Unknown"
    ready = "Ready" if is_ready(node) else "NotReady"
    return f"{ready},SchedulingDisabled" if node["spec"].get("unschedulable") else ready


def _address(node: Doc | None) -> str:
    addresses = ((node or {}).get("status") or {}).get("addresses") or ()
    return next((str(one["address"]) for one in addresses if one["type"] == "InternalIP"), "")


def _require_running(paths: ClusterPaths) -> None:
    config = paths.load()
    alive = {process.role for process in recorded(paths.processes) if process.alive}
    if not alive.intersection(config.server_names):
        raise ClusterError(f"cluster {config.name!r} is stopped: longshore start brings it back")
