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

from longshore.base.clock import Clock
from longshore.core.objects.errors import ApiError
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Client
from longshore.machinery.kubelet.config import RETRY_S, KubeletConfig
from longshore.machinery.kubelet.containers.facts import ConfigMissing
from longshore.machinery.kubelet.devices.allocation import Allocator
from longshore.machinery.kubelet.devices.assignments import Assignments
from longshore.machinery.kubelet.devices.cdi.files import specifications
from longshore.machinery.kubelet.devices.cdi.plan import joined, resolve
from longshore.machinery.kubelet.devices.claims.drivers import Drivers
from longshore.machinery.kubelet.devices.claims.plan import NotReady
from longshore.machinery.kubelet.devices.claims.prepared import PreparedClaims
from longshore.machinery.kubelet.devices.claims.run import Claims
from longshore.machinery.kubelet.devices.metrics import DeviceMetrics
from longshore.machinery.kubelet.devices.model import (
    Extras,
    Grant,
    NoSuchDevice,
    PluginFailure,
    equipped,
)
from longshore.machinery.kubelet.devices.plan import DevicesMissing
from longshore.machinery.kubelet.devices.plugins import Plugins
from longshore.machinery.kubelet.devices.reception import Reception
from longshore.machinery.kubelet.devices.shares import Shares
from longshore.machinery.kubelet.lifecycle.model import Verdict
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
        self._around = around
        self._assignments = Assignments(config.root / "device-plugins/assignments.json")
        self._prepared = PreparedClaims(config.root / "prepared-claims.json")
        self._plugins = Plugins(clock, crew, self._news, around.metrics)
        self._allocator = Allocator(self._plugins, self._assignments, clock)
        self._drivers = Drivers(config.node_name, client, clock)
        self._claims = Claims(client, self._drivers, self._prepared, clock, around.metrics)
        shares = Shares(around.pods, self._assignments, self._claims, self._plugins)
        self._reception = Reception(config, clock, crew, self._plugins, self._drivers, shares)
        self._noting = asyncio.Event()

    def load(self) -> None:
        """What an earlier life of the agent has written down. Raises OSError."""
        self._reception.prepare()
        self._assignments.load()
        self._prepared.load()
        for resource in self._assignments.resources:
            self._plugins.expect(resource)

    async def run(self) -> None:
        """Be there for plugins and drivers, until cancelled."""
        async with asyncio.TaskGroup() as crew:
            crew.create_task(self._reception.run())
            crew.create_task(self._drivers.forget_absent())
            crew.create_task(self._note_resources())

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
                _log.warning("what plugins offer is not written down: %s", error)

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


def _extras(grant: Grant) -> Extras:
    return Extras(
        env=grant.env, mounts=grant.mounts, devices=grant.devices, annotations=grant.annotations
    )
