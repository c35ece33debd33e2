"""The one containerd of a local cluster with --runtime cri, which all its nodes share: a process of the cluster's
keeps it running, and starts it again if it ends. Containers do not notice."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TypeAlias

from longshore.base.clock import Clock, SystemClock
from longshore.cluster.config import CONTAINERD, ClusterPaths
from longshore.cluster.host.cri import CriPlace, clear, driver
from longshore.cluster.host.process import prepare_process, run_to_the_end, until_signalled
from longshore.machinery.runtime.cri.containerd import Containerd
from longshore.machinery.runtime.protocol import Image, RuntimeFailure

log = logging.getLogger("longshore.containerd")
Images: TypeAlias = list[Image]

# How long it may take to listen: it reads what it knows of containers before.
_BEGIN_S = 30.0
_PAUSE_MIN_S, _PAUSE_MAX_S = 0.1, 2.0
# Who ran this long has not ended over and over.
_SOUND_S = 60.0


def of(paths: ClusterPaths) -> Containerd:
    return Containerd(paths.home / CONTAINERD)


def place(paths: ClusterPaths) -> CriPlace:
    """Where nodes find it."""
    made = of(paths)
    return CriPlace(made.endpoint, made.networks)


def main(paths: ClusterPaths) -> None:
    """The life of who keeps it, until SIGTERM."""
    prepare_process("longshore-containerd")
    run_to_the_end(until_signalled(_keep(of(paths), SystemClock())))


async def _keep(containerd: Containerd, clock: Clock) -> None:
    pause = _PAUSE_MIN_S
    while True:
        begun = clock.monotonic()
        try:
            log.warning("containerd ended with code %s", await _run(containerd, clock))
        except (RuntimeFailure, OSError) as error:
            log.warning("containerd: %s", error)
        sound = clock.monotonic() - begun > _SOUND_S
        pause = _PAUSE_MIN_S if sound else min(2 * pause, _PAUSE_MAX_S)
        await clock.sleep(pause)


async def _run(containerd: Containerd, clock: Clock) -> int:
    """Its exit code, when it has ended."""
    containerd.configure()
    process = await asyncio.create_subprocess_exec(
        *containerd.command(), stdin=asyncio.subprocess.DEVNULL
    )
    try:
        if await containerd.listening(clock, _BEGIN_S):
            await asyncio.to_thread(containerd.make_pause_image)
        return await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


class SharedImages:
    """The images of all nodes. Both raise RuntimeFailure while it does not answer."""

    def __init__(self, paths: ClusterPaths) -> None:
        self._paths = paths

    def load(self, path: Path) -> Images:
        """Those of a tar."""
        loaded = set(of(self._paths).load(path))
        return [image for image in self.list() if loaded.intersection(image.names)]

    def list(self) -> Images:
        """All that it has."""
        return asyncio.run(_images(self._paths))


async def _images(paths: ClusterPaths) -> Images:
    runtime = driver(place(paths), "", paths.cgroup_parent)
    try:
        return await runtime.images()
    finally:
        await runtime.close()


def clear_node(paths: ClusterPaths, node: str) -> None:
    """Remove all that it has of a node whose agent has ended. Raises RuntimeFailure."""
    clear(place(paths), node, f"{paths.cgroup_parent}/{node}")
