"""Who makes a socket in plugins_registry is asked what it is, and is gone when the socket is.

Contract: k8s.io/kubelet/pkg/apis/pluginregistration/v1 and pkg/kubelet/pluginmanager.
"""

from __future__ import annotations

import asyncio
import logging
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, TypeAlias

from longshore.base.clock import Clock
from longshore.machinery.kubelet.devices.inotify import Directories
from longshore.machinery.kubelet.devices.model import PluginFailure
from longshore.machinery.kubelet.devices.peers import Introduction, Newcomer

_log = logging.getLogger("longshore.kubelet.devices")
_RETRY_FIRST_S, _RETRY_MAX_S = 0.5, 120.0

_Socket: TypeAlias = tuple[Path, int, int]


class Host(Protocol):
    """Who takes newcomers in."""

    async def meet(self, socket: Path) -> Newcomer: ...

    async def welcome(self, who: Introduction, socket: Path) -> None:
        """Raises PluginFailure where it cannot stay."""

    async def goodbye(self, socket: Path) -> None:
        """Whoever was behind that socket is gone, welcome or not."""


class Newcomers:
    """Everybody with a socket in one directory, or in directories in it."""

    def __init__(self, directory: Path, host: Host, clock: Clock, crew: asyncio.TaskGroup) -> None:
        self._directory = directory
        self._host = host
        self._clock = clock
        self._crew = crew
        self._guests: dict[_Socket, asyncio.Event] = {}

    async def run(self) -> None:
        """Until cancelled. Raises OSError where directories cannot be watched."""
        watch = Directories()
        try:
            while True:
                self._look(watch)
                await watch.changed()
        finally:
            watch.close()

    def _look(self, watch: Directories) -> None:
        found = set(_sockets(self._directory, watch))
        for socket in self._guests.keys() - found:
            self._guests.pop(socket).set()
        for socket in found - self._guests.keys():
            gone = self._guests[socket] = asyncio.Event()
            self._crew.create_task(self._attend(socket[0], gone), name=f"newcomer {socket[0].name}")

    async def _attend(self, socket: Path, gone: asyncio.Event) -> None:
        """From its arrival to its departure."""
        async with asyncio.TaskGroup() as crew:
            asking = crew.create_task(self._introduce(socket))
            await gone.wait()
            asking.cancel()
        await self._host.goodbye(socket)

    async def _introduce(self, socket: Path) -> None:
        """Ask until it says something that is welcome."""
        pause_s = _RETRY_FIRST_S
        while True:
            try:
                return await self._ask(socket)
            except PluginFailure as error:
                _log.warning("plugin at %s: %s", socket, error)
            await self._clock.sleep(pause_s)
            pause_s = min(2 * pause_s, _RETRY_MAX_S)

    async def _ask(self, socket: Path) -> None:
        newcomer = await self._host.meet(socket)
        try:
            who = await newcomer.introduce()
            try:
                await self._host.welcome(who, socket)
            except PluginFailure as error:
                await newcomer.answer(str(error))
                raise
            await newcomer.answer("")
        finally:
            await newcomer.close()


def _sockets(directory: Path, watch: Directories) -> Iterator[_Socket]:
    """All below; directories are watched before they are read, so that nothing slips through. A socket
    made anew at the same path is another one."""
    try:
        watch.add(directory)
        for path in sorted(directory.iterdir()):
            found = path.lstat()
            if path.name.startswith("."):
                continue
            if stat.S_ISDIR(found.st_mode):
                yield from _sockets(path, watch)
            elif stat.S_ISSOCK(found.st_mode):
                yield path, found.st_ino, found.st_mtime_ns
    except FileNotFoundError:
        return
