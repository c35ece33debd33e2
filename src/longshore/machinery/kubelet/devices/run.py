"""The devices of one node: sockets for those who bring them, and what pods get of them.

ROOT/device-plugins/kubelet.sock     device plugins register here; their own sockets are beside it
ROOT/plugins_registry/               drivers of claims make a socket here
ROOT/plugins/                        and have what is theirs here
ROOT/pod-resources/kubelet.sock      who asks which pod has which device
ROOT/cdi, /etc/cdi, /var/run/cdi     what names of CDI devices mean

gRPC is imported when somebody comes to one of the sockets.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from longshore.base.clock import Clock
from longshore.core.objects.errors import ApiError
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Client
from longshore.machinery.kubelet.config import RETRY_S, KubeletConfig, at_home
from longshore.machinery.kubelet.devices import shares
from longshore.machinery.kubelet.devices.allocation import Allocator
from longshore.machinery.kubelet.devices.assignments import Assignments
from longshore.machinery.kubelet.devices.cdi.files import specifications
from longshore.machinery.kubelet.devices.cdi.plan import joined, resolve
from longshore.machinery.kubelet.devices.claims.drivers import Drivers
from longshore.machinery.kubelet.devices.claims.plan import NotReady
from longshore.machinery.kubelet.devices.claims.prepared import PreparedClaims
from longshore.machinery.kubelet.devices.claims.run import Claims
from longshore.machinery.kubelet.devices.doorstep import Doorstep
from longshore.machinery.kubelet.devices.metrics import DeviceMetrics
from longshore.machinery.kubelet.devices.model import (
    Extras,
    Grant,
    NoSuchDevice,
    PluginFailure,
    equipped,
)
from longshore.machinery.kubelet.devices.newcomers import Newcomers
from longshore.machinery.kubelet.devices.peers import (
    DEVICE_PLUGIN_VERSION,
    Desk,
    DevicePlugin,
    Held,
    Introduction,
    Newcomer,
    PodShare,
    Registration,
    Remote,
    Serving,
)
from longshore.machinery.kubelet.devices.plan import DevicesMissing
from longshore.machinery.kubelet.devices.plugins import Plugins
from longshore.machinery.kubelet.facts import ConfigMissing
from longshore.machinery.kubelet.model import Verdict
from longshore.machinery.runtime.protocol import ContainerSpec

_log = logging.getLogger("longshore.kubelet.devices")


@dataclass(frozen=True, slots=True)
class Around:
    """The rest of the agent. changed() is called when the node has more or fewer devices; pods() are
    those of the node, for who asks."""

    changed: Callable[[], None]
    pods: Callable[[], Iterable[Doc]]
    metrics: DeviceMetrics = field(default_factory=DeviceMetrics)


class Devices:
    """One per agent."""

    def __init__(
        self,
        config: KubeletConfig,
        client: Client,
        clock: Clock,
        crew: asyncio.TaskGroup,
        around: Around,
    ) -> None:
        self._config = config
        self._clock = clock
        self._crew = crew
        self._around = around
        self._home = config.root / "device-plugins"
        self._assignments = Assignments(self._home / "assignments.json")
        self._prepared = PreparedClaims(config.root / "prepared-claims.json")
        self._plugins = Plugins(self._plugin, clock, crew, self._news, around.metrics)
        self._allocator = Allocator(self._plugins, self._assignments, clock)
        self._drivers = Drivers(config.node_name, client, clock)
        self._claims = Claims(client, self._drivers, self._prepared, clock, around.metrics)
        self._remote: Remote | None = None
        self._serving: Serving | None = None
        self._starting = asyncio.Lock()
        self._noting = asyncio.Event()

    def load(self) -> None:
        """What an earlier life of the agent has written down. Raises OSError."""
        for directory in (self._home, self._registry, self._lobby, self._config.root / "plugins"):
            directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        self._assignments.load()
        self._prepared.load()
        for resource in self._assignments.resources:
            self._plugins.expect(resource)

    @property
    def _registry(self) -> Path:
        return self._config.root / "plugins_registry"

    @property
    def _lobby(self) -> Path:
        return self._config.root / "pod-resources"

    # -- those who bring devices ---------------------------------------------------------------

    async def run(self) -> None:
        """Be there for plugins and drivers, until cancelled."""
        for left in self._home.glob("*.sock"):
            left.unlink(missing_ok=True)
        newcomers = Newcomers(self._registry, self, self._clock, self._crew)
        try:
            async with asyncio.TaskGroup() as crew:
                for directory in (self._home, self._lobby):
                    crew.create_task(self._serve(directory / "kubelet.sock"))
                crew.create_task(self._watch(newcomers))
                crew.create_task(self._drivers.forget_absent())
                crew.create_task(self._note_resources())
        finally:
            if self._serving is not None:
                await self._serving.stop(None)

    async def _serve(self, path: Path) -> None:
        doorstep = Doorstep(path, self._start)
        try:
            listener = doorstep.open()
        except OSError as error:
            _log.warning("nobody can come to %s: %s", path, error)
            return
        await doorstep.serve(listener)

    async def _watch(self, newcomers: Newcomers) -> None:
        try:
            await newcomers.run()
        except OSError as error:
            _log.warning("nobody can register in %s: %s", self._registry, error)

    async def _start(self) -> Path:
        """Where the doorsteps' visitors are passed on to."""
        path = self._config.root / ".devices.sock"
        async with self._starting:
            if self._serving is None:
                desk = Desk(self._register, self.shares, self.on_offer)
                self._serving = await (await self._reach()).serve(path, desk)
        return path

    async def _reach(self) -> Remote:
        if self._remote is None:
            self._remote = await asyncio.to_thread(_remote)
        return self._remote

    def _plugin(self, socket: Path) -> DevicePlugin:
        assert self._remote is not None, "only who came over it registers"
        return self._remote.plugin(socket)

    async def _register(self, given: Registration) -> None:
        await self._plugins.register(given, self._home / given.endpoint)

    async def meet(self, socket: Path) -> Newcomer:
        return (await self._reach()).newcomer(socket)

    async def welcome(self, who: Introduction, socket: Path) -> None:
        """Raises PluginFailure."""
        home = str(self._config.root)
        endpoint = Path(at_home(who.endpoint, home)) if who.endpoint else socket
        remote = await self._reach()
        match who.type:
            case "DRAPlugin":
                self._drivers.add(who.name, socket, remote.driver(endpoint, who.name, who.versions))
            case "DevicePlugin":
                await self._take_plugin(remote.plugin(endpoint), who, endpoint)
            case _:
                raise PluginFailure(
                    f"no handler registered for plugin type: {who.type} at socket {socket}"
                )

    async def _take_plugin(self, plugin: DevicePlugin, who: Introduction, endpoint: Path) -> None:
        """One that registers in this way has not said its options yet."""
        try:
            options = await plugin.options()
        finally:
            await plugin.close()
        version = (
            DEVICE_PLUGIN_VERSION if DEVICE_PLUGIN_VERSION in who.versions else str(who.versions)
        )
        given = Registration(version, endpoint.name, who.name, options)
        await self._plugins.register(given, endpoint)

    async def goodbye(self, socket: Path) -> None:
        await self._drivers.remove(socket)

    # -- what the node has -----------------------------------------------------------------------

    def capacity(self) -> Mapping[str, str]:
        """All devices by resource, as quantities."""
        return {name: str(count) for name, count in self._plugins.capacity().items()}

    def allocatable(self) -> Mapping[str, str]:
        """Those that work."""
        return {name: str(count) for name, count in self._plugins.allocatable().items()}

    def _news(self) -> None:
        self._noting.set()
        self._around.changed()

    async def _note_resources(self) -> None:
        while True:
            await self._noting.wait()
            self._noting.clear()
            try:
                await self._allocator.remember()
            except OSError as error:
                _log.warning("%s: %s", self._home, error)

    # -- what pods get ---------------------------------------------------------------------------

    async def admit(self, pod: Doc) -> Verdict | None:
        """Give a pod its devices before anything else is done for it; why it cannot stay, if it cannot."""
        try:
            await self._allocator.give(pod)
        except (DevicesMissing, PluginFailure, OSError) as error:
            message = f"Allocate failed due to {error}, which is unexpected"
            return Verdict("UnexpectedAdmissionError", message)
        return None

    async def prepare(self, pod: Doc) -> None:
        """Have the pod's claims prepared. Raises NotReady, which says why it cannot be yet."""
        if not pod["spec"].get("resourceClaims"):
            return
        try:
            await self._claims.prepare(pod)
        except (PluginFailure, ApiError, OSError) as error:
            raise NotReady(str(error)) from error

    async def equip(self, pod: Doc, container: Doc, spec: ContainerSpec) -> ContainerSpec:
        """The container with its devices; its plugins are told that it is about to start. Raises
        ConfigMissing."""
        uid, name = pod["metadata"]["uid"], container["name"]
        grants = self._assignments.of(uid).get(name, ())
        claimed = self._claims.devices(pod, container)
        if not grants and not claimed:
            return spec
        names = [one for grant in grants for one in grant.cdi]
        names += [one for _, device in claimed for one in device.cdi]
        try:
            await self._allocator.before_start(uid, name)
            edits = await asyncio.to_thread(self._resolve, names) if names else Extras()
        except (PluginFailure, NoSuchDevice) as error:
            raise ConfigMissing(str(error)) from error
        return equipped(spec, joined([*map(_extras, grants), edits]))

    def _resolve(self, names: Sequence[str]) -> Extras:
        return resolve(names, specifications((*self._config.cdi_dirs, self._config.root / "cdi")))

    def leave(self, uid: str) -> None:
        """The API server has the pod no longer: it will be released as soon as its containers have ended."""
        self._allocator.leave(uid)

    async def release(self, uid: str) -> None:
        """The pod's containers have ended for good. Raises PluginFailure or OSError: then it is to be
        called again."""
        await self._claims.give_back(uid)
        await self._allocator.take_back(uid)

    async def release_all_but(self, kept: Iterable[str]) -> None:
        """After a start: give back what pods have that are no longer on record."""
        left = {*self._assignments.pods(), *self._claims.pods()}.difference(kept)
        for uid in left:
            self._allocator.leave(uid)
        while left:
            for uid in sorted(left):
                try:
                    await self.release(uid)
                    left.discard(uid)
                except (PluginFailure, OSError) as error:
                    _log.warning("devices of pod %s, which is gone: %s", uid, error)
            if left:
                await self._clock.sleep(RETRY_S)

    # -- who asks --------------------------------------------------------------------------------

    def shares(self) -> Sequence[PodShare]:
        """What each pod of the node has."""
        return [
            shares.share(pod, self._assignments, self._claims, self._plugins)
            for pod in self._around.pods()
        ]

    def on_offer(self) -> Sequence[Held]:
        """All devices that work."""
        return shares.on_offer(self._plugins)


def _extras(grant: Grant) -> Extras:
    return Extras(
        env=grant.env, mounts=grant.mounts, devices=grant.devices, annotations=grant.annotations
    )


def _remote() -> Remote:
    from longshore.machinery.kubelet.devices import remote

    return remote
