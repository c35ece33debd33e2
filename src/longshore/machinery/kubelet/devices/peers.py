"""Those who bring devices to the node, as the kubelet sees them: what they say, and what they can be asked.

remote.py is them behind gRPC, and is imported when the first one shows up.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from longshore.machinery.kubelet.devices.model import Grant
from longshore.machinery.kubelet.devices.plan import Choice

DEVICE_PLUGIN_VERSION = "v1beta1"


@dataclass(frozen=True, slots=True)
class PluginOptions:
    """What a plugin wants to be asked: before each start of a container, and which devices it prefers."""

    pre_start: bool = False
    prefers: bool = False


@dataclass(frozen=True, slots=True)
class Registration:
    """A device plugin introduces itself. endpoint is the name of its socket beside the kubelet's."""

    version: str
    endpoint: str
    resource: str
    options: PluginOptions = PluginOptions()


@dataclass(frozen=True, slots=True)
class Listed:
    """A device as its plugin lists it; numa are the nodes it is near to."""

    healthy: bool
    numa: tuple[int, ...] = ()


class DevicePlugin(Protocol):
    """Every call may raise PluginFailure."""

    async def connect(self) -> None: ...

    async def options(self) -> PluginOptions: ...

    def devices(self) -> AsyncIterator[Mapping[str, Listed]]:
        """All its devices by id, now and whenever anything about them changes; ends with the plugin."""

    async def prefer(self, choice: Choice) -> Sequence[str]: ...

    async def allocate(self, resource: str, ids: Sequence[str]) -> Grant: ...

    async def pre_start(self, ids: Sequence[str]) -> None: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class ClaimName:
    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class PreparedDevice:
    """A device of a claim. Without requests it is of all of the claim's."""

    driver: str
    pool: str
    device: str
    requests: tuple[str, ...] = ()
    cdi: tuple[str, ...] = ()


class Driver(Protocol):
    """A driver of claims (KEP-4381). Every call may raise PluginFailure, and is idempotent."""

    async def prepare(self, claims: Sequence[ClaimName]) -> Mapping[str, Sequence[PreparedDevice]]:
        """Make the devices of each claim ready; by the claim's uid."""

    async def unprepare(self, claims: Sequence[ClaimName]) -> None: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Introduction:
    """What the owner of a socket in plugins_registry says it is: type is DRAPlugin, DevicePlugin or
    CSIPlugin, name a driver's or a resource's, endpoint the path at which it serves."""

    type: str
    name: str
    endpoint: str
    versions: tuple[str, ...] = ()


class Newcomer(Protocol):
    """Who has made a socket in plugins_registry. Every call may raise PluginFailure."""

    async def introduce(self) -> Introduction: ...

    async def answer(self, error: str) -> None:
        """Tell it that it is registered, or why it is not."""

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Held:
    """Devices of one resource."""

    resource: str
    ids: tuple[str, ...]
    numa: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class HeldClaim:
    namespace: str
    name: str
    devices: tuple[PreparedDevice, ...]


@dataclass(frozen=True, slots=True)
class ContainerShare:
    name: str
    devices: tuple[Held, ...] = ()
    claims: tuple[HeldClaim, ...] = ()


@dataclass(frozen=True, slots=True)
class PodShare:
    """What a pod has of the node besides cpu and memory."""

    namespace: str
    name: str
    containers: tuple[ContainerShare, ...]


@dataclass(frozen=True, slots=True)
class Desk:
    """Whom visitors of the kubelet's sockets talk to. register() may raise PluginFailure."""

    register: Callable[[Registration], Awaitable[None]]
    pods: Callable[[], Sequence[PodShare]]
    allocatable: Callable[[], Sequence[Held]]


class Serving(Protocol):
    async def stop(self, grace: float | None) -> None: ...


class Remote(Protocol):
    """How all of them are reached."""

    def plugin(self, socket: Path) -> DevicePlugin: ...

    def driver(self, socket: Path, name: str, versions: Sequence[str]) -> Driver: ...

    def newcomer(self, socket: Path) -> Newcomer: ...

    async def serve(self, socket: Path, desk: Desk) -> Serving:
        """Listen for visitors of the device-plugins and pod-resources sockets."""
