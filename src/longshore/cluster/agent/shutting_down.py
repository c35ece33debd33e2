"""Shut a node down: its agent ends its pods in order, tells the cluster, and ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

from longshore.base.clock import Clock, SystemClock
from longshore.cluster.config import ClusterError, ClusterPaths, check_name, default_root
from longshore.cluster.host.process import SHUT_DOWN
from longshore.cluster.host.processes import POLL_S, Process, recorded

_AGENT = "agent"


def of_machine(directory: Path, wait_s: float) -> None:
    """Shut down the node that a machine is. Raises ClusterError."""
    _shut_down(ClusterPaths.of_machine(directory), _AGENT, wait_s)


def of_cluster(name: str, root: Path | None, node: str, wait_s: float) -> None:
    """Shut down a node of a local cluster; longshore start brings it back. Raises ClusterError."""
    paths = ClusterPaths((root or default_root()).absolute(), check_name(name))
    config = paths.load()
    if config.hollow:
        raise ClusterError(f"cluster {name!r} is hollow: no machine of its is shut down")
    if node not in config.places:
        raise ClusterError(f"no node of {name!r} is called {node!r}")
    _shut_down(paths, node, wait_s)


def _shut_down(paths: ClusterPaths, role: str, wait_s: float) -> None:
    agents = [one for one in recorded(paths.processes) if one.role == role and one.alive]
    if not agents:
        raise ClusterError(f"no agent runs for {paths.home}: there is nothing to shut down")
    (agent,) = agents
    agent.kill(SHUT_DOWN)
    asyncio.run(_until_ended(agent, SystemClock(), wait_s))


async def _until_ended(agent: Process, clock: Clock, wait_s: float) -> None:
    deadline = clock.monotonic() + wait_s
    while agent.alive:
        if clock.monotonic() >= deadline:
            raise ClusterError(f"the agent has not ended after {wait_s:g} s; its log says why")
        await clock.sleep(POLL_S)
