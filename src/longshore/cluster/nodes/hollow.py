"""The hollow nodes of a server's own process: those of cluster.json, whenever it says others."""

from __future__ import annotations

import asyncio
import signal

from longshore.base.clock import Clock
from longshore.cluster.config import ClusterConfig, ClusterPaths
from longshore.cluster.host.machine import hollow_nodes
from longshore.cluster.host.processes import recorded
from longshore.core.registry.client import Client
from longshore.machinery.kubelet.hollow.nodes import HollowNodes


def in_server(config: ClusterConfig) -> bool:
    """Whether a cluster's nodes are part of its server's process, and not processes of their own."""
    return config.hollow and not config.shared


def tell_server(config: ClusterConfig, paths: ClusterPaths) -> None:
    """Have the server read which hollow nodes there are."""
    if in_server(config):
        for process in recorded(paths.processes):
            if process.role in config.server_names:
                process.kill(signal.SIGHUP)


def do_not_end_when_told() -> None:
    """For a process that may be told before it listens: run() reads what there is anyway."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


class HollowMachines:
    """Told by SIGHUP, or by look(), that cluster.json has other nodes than before."""

    def __init__(
        self, config: ClusterConfig, paths: ClusterPaths, client: Client, clock: Clock
    ) -> None:
        self._config, self._paths = config, paths
        self._nodes = HollowNodes(hollow_nodes(config, paths), client, clock, changing=True)
        self._told = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.look)
        self.look()
        async with asyncio.TaskGroup() as crew:
            crew.create_task(self._nodes.run(), name="hollow nodes")
            while True:
                await self._told.wait()
                self._told.clear()
                await self._read()

    def look(self) -> None:
        """Read which nodes there are, soon."""
        self._told.set()

    async def _read(self) -> None:
        config = await asyncio.to_thread(self._paths.load)
        if config.places != self._config.places:
            self._config = config
            await self._nodes.become(hollow_nodes(config, self._paths))
