"""Remove what belongs to no pod: containers, addresses and files left by pods that went away
while the agent did not look."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from longshore.base.clock import Clock
from longshore.machinery.kubelet.config import FORCED_GRACE_S, RETRY_S, KubeletConfig
from longshore.machinery.kubelet.network import PodNetwork
from longshore.machinery.kubelet.volumes.run import PodVolumes
from longshore.machinery.network.errors import NetworkFailure
from longshore.machinery.runtime.protocol import Container, Runtime, RuntimeFailure, State

_log = logging.getLogger("longshore.kubelet.orphans")


class Orphans:
    """One sweep over what is on the node."""

    def __init__(
        self, config: KubeletConfig, runtime: Runtime, network: PodNetwork, clock: Clock
    ) -> None:
        self._config = config
        self._clock = clock
        self._runtime = runtime
        self._network = network

    async def remove_all_but(
        self, kept: Collection[str], found: Mapping[str, Sequence[Container]]
    ) -> None:
        """Remove the sandboxes, addresses and files of all uids that are not kept."""
        here = {sandbox.id for sandbox in await self._runtime.sandboxes()} | set(found)
        here |= set(self._network.attached())
        here |= {entry.name for entry in self._config.pods_dir.iterdir()}
        here |= {entry.name.rpartition("_")[2] for entry in self._config.logs_dir.iterdir()}
        async with asyncio.TaskGroup() as crew:
            for uid in sorted(here - set(kept)):
                crew.create_task(self.remove(uid, found.get(uid, ())), name=f"orphan {uid}")

    async def remove(self, uid: str, containers: Sequence[Container]) -> None:
        """Remove the sandbox, address and files of one uid, however often it must be tried."""
        _log.info("removing pod %s, which is no longer on record", uid)
        while True:
            try:
                await self._take_down(uid, containers)
            except (RuntimeFailure, NetworkFailure, OSError) as error:
                _log.warning("orphan %s: %s", uid, error)
                await self._clock.sleep(RETRY_S)
            else:
                return await asyncio.to_thread(self._delete_files, uid)

    async def _take_down(self, uid: str, containers: Sequence[Container]) -> None:
        for container in containers:
            if container.state is not State.EXITED:
                await self._runtime.stop_container(container.id, FORCED_GRACE_S)
        await self._runtime.remove_sandbox(uid)
        await self._network.detach(uid)

    def _delete_files(self, uid: str) -> None:
        PodVolumes(self._config.pods_dir / uid).tear_down()
        for logs in self._config.logs_dir.glob(f"*_{uid}"):
            PodVolumes(Path(logs)).tear_down()
