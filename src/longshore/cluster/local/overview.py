"""The clusters on this machine and how they are, from their files alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from longshore.cluster.config import ClusterPaths, UnknownCluster, default_root, names
from longshore.cluster.host.processes import recorded


def overview(root: Path | None) -> list[dict[str, Any]]:
    """One dictionary a cluster: name, state, nodes, servers, runtime, server, context, processes.

    state is running, stopped, degraded (some of its processes are gone) or unfinished (an `up`
    that was killed before it had written anything; `down` removes it).
    """
    where = root or default_root()
    return [_describe(ClusterPaths(where, name)) for name in sorted(names(where))]


def _describe(paths: ClusterPaths) -> dict[str, Any]:
    name = paths.home.name
    try:
        config = paths.load()
    except UnknownCluster:
        return {"name": name, "state": "unfinished", "nodes": 0, "runtime": "", "server": ""}
    alive = {process.role: process.pid for process in recorded(paths.processes) if process.alive}
    state = "degraded" if alive else "stopped"
    if alive.keys() >= {*config.roles}:
        state = "running"
    return {
        "name": name,
        "state": state,
        "nodes": config.nodes,
        "servers": config.servers,
        "runtime": config.runtime,
        "server": config.server,
        "context": config.context,
        "processes": alive,
    }
