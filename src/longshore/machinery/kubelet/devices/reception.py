"""Where those who bring devices come to, and those who ask which pod has which (see run.py for the paths)."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from longshore.base.clock import Clock
from longshore.machinery.kubelet.config import KubeletConfig, at_home
from longshore.machinery.kubelet.devices.claims.drivers import Drivers
from longshore.machinery.kubelet.devices.doorstep import Doorstep
from longshore.machinery.kubelet.devices.model import PluginFailure
from longshore.machinery.kubelet.devices.newcomers import Newcomers
from longshore.machinery.kubelet.devices.peers import (
    DEVICE_PLUGIN_VERSION,
    Desk,
    Introduction,
    Newcomer,
    PluginOptions,
    Registration,
    Remote,
    Serving,
)
from longshore.machinery.kubelet.devices.plugins import Plugins
from longshore.machinery.kubelet.devices.shares import Shares

_log = logging.getLogger("longshore.kubelet.devices")


class Reception:
    """The sockets of one kubelet. Who registers goes to plugins or drivers; gRPC is imported with the
    first visitor."""

    def __init__(
        self,
        config: KubeletConfig,
        clock: Clock,
        crew: asyncio.TaskGroup,
        plugins: Plugins,
        drivers: Drivers,
        shares: Shares,
    ) -> None:
        self._root = config.root
        self._clock = clock
        self._crew = crew
        self._plugins = plugins
        self._drivers = drivers
        self._shares = shares
        self._remote: Remote | None = None
        self._serving: Serving | None = None
        self._starting = asyncio.Lock()
        self._home = self._root / "device-plugins"
        self._registry = self._root / "plugins_registry"
        self._lobby = self._root / "pod-resources"

    def prepare(self) -> None:
        """Make the directories. Raises OSError."""
        for directory in (self._home, self._registry, self._lobby, self._root / "plugins"):
            directory.mkdir(mode=0o750, parents=True, exist_ok=True)

    async def run(self) -> None:
        """Be there, until cancelled. The plugins of an earlier life of the agent hear that their sockets are
        gone, or that the kubelet's is new, and come again (devicemanager: removeContents)."""
        for left in self._home.glob("*.sock"):
            left.unlink(missing_ok=True)
        try:
            async with asyncio.TaskGroup() as crew:
                for directory in (self._home, self._lobby):
                    crew.create_task(self._listen(directory / "kubelet.sock"))
                crew.create_task(self._watch())
        finally:
            if self._serving is not None:
                await self._serving.stop(None)

    async def _listen(self, path: Path) -> None:
        doorstep = Doorstep(path, self._start, self._clock)
        try:
            listener = doorstep.open()
        except OSError as error:
            _log.warning("nobody can come to %s: %s", path, error)
            return
        await doorstep.serve(listener)

    async def _watch(self) -> None:
        try:
            await Newcomers(self._registry, self, self._clock, self._crew).run()
        except OSError as error:
            _log.warning("nobody can register in %s: %s", self._registry, error)

    async def _start(self) -> Path:
        """Where the doorsteps' visitors are passed on to."""
        path = self._root / ".devices.sock"
        async with self._starting:
            if self._serving is None:
                desk = Desk(self._register, self._shares.of_pods, self._shares.on_offer)
                self._serving = await (await self._reach()).serve(path, desk)
        return path

    async def _reach(self) -> Remote:
        if self._remote is None:
            self._remote = await asyncio.to_thread(_remote)
        return self._remote

    async def _register(self, given: Registration) -> None:
        await self._take_in(given, self._home / given.endpoint)

    async def _take_in(self, given: Registration, socket: Path) -> None:
        plugin = (await self._reach()).plugin(socket)
        try:
            self._plugins.register(given, plugin)
        except PluginFailure:
            await plugin.close()
            raise

    # -- who has a socket in plugins_registry --------------------------------------------------

    async def meet(self, socket: Path) -> Newcomer:
        return (await self._reach()).newcomer(socket)

    async def welcome(self, who: Introduction, socket: Path) -> None:
        """Raises PluginFailure."""
        endpoint = Path(at_home(who.endpoint, str(self._root))) if who.endpoint else socket
        match who.type:
            case "DRAPlugin":
                driver = (await self._reach()).driver(endpoint, who.name, who.versions)
                self._drivers.add(who.name, socket, driver)
            case "DevicePlugin":
                await self._take_in(await self._registration(who, endpoint), endpoint)
            case _:
                raise PluginFailure(
                    f"no handler registered for plugin type: {who.type} at socket {socket}"
                )

    async def goodbye(self, socket: Path) -> None:
        await self._drivers.remove(socket)

    async def _registration(self, who: Introduction, endpoint: Path) -> Registration:
        """Who registers in this way has not said its options yet."""
        known = DEVICE_PLUGIN_VERSION in who.versions
        version = DEVICE_PLUGIN_VERSION if known else ",".join(who.versions)
        return Registration(version, endpoint.name, who.name, await self._options(endpoint))

    async def _options(self, endpoint: Path) -> PluginOptions:
        plugin = (await self._reach()).plugin(endpoint)
        try:
            return await plugin.options()
        finally:
            await plugin.close()


def _remote() -> Remote:
    from longshore.machinery.kubelet.devices import remote

    return remote
