"""Keep this node registered: its Node object, its status, its heartbeat."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Protocol

from longshore.base.clock import Clock
from longshore.core.objects import kinds
from longshore.core.objects.errors import AlreadyExists, ApiError, NotFound
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Client, Create, Patch
from longshore.machinery.kubelet.config import NODE_STATUS_REPORT_S, KubeletConfig
from longshore.machinery.kubelet.events import NoRecorder, Recorder
from longshore.machinery.kubelet.node.plan import (
    LEASE_NAMESPACE,
    DeviceCounts,
    MachineFacts,
    lease_doc,
    lease_renewal,
    materially_equal,
    node_doc,
    node_status,
)
from longshore.machinery.kubelet.resources.allocatable import allocatable
from longshore.machinery.runtime.protocol import (
    HasHandlers,
    HasVersion,
    Image,
    Runtime,
    RuntimeFailure,
)

_RETRY_S = 1.0
# A runtime that does not answer for this long is down (maxWaitForContainerRuntime, pkg/kubelet/kubelet.go).
_DOWN_AFTER_S = 30.0
_DOWN = "container runtime is down"
_log = logging.getLogger("longshore.kubelet.node")


class Offered(Protocol):
    """The devices of a node, as quantities by resource: all of them, and those that work."""

    def capacity(self) -> Mapping[str, str]: ...

    def allocatable(self) -> Mapping[str, str]: ...


class NoDevices:
    """Of a node to which nobody has brought any."""

    def capacity(self) -> Mapping[str, str]:
        return {}

    allocatable = capacity


class NodeKeeper:
    """Registers the node, renews its lease every 10 s, and reports its status when it changes
    or is five minutes old. A Node object that vanished is made again."""

    def __init__(
        self,
        config: KubeletConfig,
        client: Client,
        runtime: Runtime,
        clock: Clock,
        facts: Callable[[], MachineFacts],
    ) -> None:
        self._config = config
        self._client = client
        self._runtime = runtime
        self._clock = clock
        self._facts = facts
        self._reported_at = 0.0
        self._machine = facts()
        self.node: Doc = {}
        self.recorder: Recorder = NoRecorder()
        self.pressure: Callable[[], frozenset[str]] = frozenset
        self.devices: Offered = NoDevices()
        self.unready = ""
        """Why the node takes no pods, if it does not."""
        self._known_images: list[Image] = []
        self._answered_at = clock.monotonic()
        self._news = asyncio.Event()
        self.known = asyncio.Event()
        """Set once the API server has the node."""

    @property
    def allocatable(self) -> dict[str, str]:
        """What pods may have of this node, as quantities."""
        capacity = {**self._machine.capacity, **self._config.capacity}
        return allocatable(capacity, self._config.resources)

    @property
    def described(self) -> Doc:
        """The Node object; before it was registered, as it will be."""
        return self.node or node_doc(self._config, self._machine)

    async def refresh(self) -> None:
        """Look at the Node object again: others may have changed it. Raises ApiError, OSError."""
        self.node = await self._client.get(kinds.NODE, "", self._config.node_name)

    def hurry(self) -> None:
        """Report the node's status soon: it is another."""
        self._news.set()

    def _look(self) -> MachineFacts:
        devices = DeviceCounts(self.devices.capacity(), self.devices.allocatable())
        runtime = self._runtime
        handlers = runtime.handlers() if isinstance(runtime, HasHandlers) else ()
        found = self._facts()
        if isinstance(runtime, HasVersion):
            found = replace(found, runtime_version=runtime.version())
        return replace(
            found, pressure=self.pressure(), devices=devices, handlers=tuple(handlers),
            unready=self.unready or self._down(),
        )  # fmt: skip

    async def register(self) -> None:
        """Make the Node object and report its status. Raises ApiError."""
        images = await self._images()
        facts = self._look()
        wanted = node_doc(self._config, facts)
        try:
            self.node = await self._client.write(Create(kinds.NODE, wanted))
        except AlreadyExists:
            await self._take_over(wanted)
        self.known.set()
        old = self.node.get("status") or {}
        await self._report(node_status(self._config, facts, images, old, self._clock.now()))
        await self._renew()
        message = f"Node {self._config.node_name} status is now: NodeReady"
        self.recorder.event(self.node, "Normal", "NodeReady", message)

    async def _take_over(self, wanted: Doc) -> None:
        """A Node of this name is there: give it its labels and, if it has none, its pod range."""
        name, labels = (
            self._config.node_name,
            {"metadata": {"labels": wanted["metadata"]["labels"]}},
        )
        self.node = await self._client.write(Patch(kinds.NODE, "", name, labels))
        if wanted["spec"] and not (self.node.get("spec") or {}).get("podCIDR"):
            spec = {"spec": wanted["spec"]}
            self.node = await self._client.write(Patch(kinds.NODE, "", name, spec))

    async def run(self) -> None:
        """Register, then heartbeats and reports until cancelled."""
        await self._register_at_last()
        async with asyncio.TaskGroup() as crew:
            crew.create_task(self._forever(self._renew), name="renew the node's lease")
            crew.create_task(self._forever(self.check), name="report the node's status")
            crew.create_task(self._at_once(), name="report the node's pressure")

    async def _register_at_last(self) -> None:
        while True:
            try:
                return await self.register()
            except (ApiError, OSError) as error:
                _log.warning("node %s not registered yet: %s", self._config.node_name, error)
                await self._clock.sleep(_RETRY_S)

    async def _forever(self, act: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._clock.sleep(self._config.lease_renew_s)
            try:
                await act()
            except (ApiError, OSError) as error:
                _log.warning("node %s: %s", self._config.node_name, error)

    async def _at_once(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await self.check()
            except (ApiError, OSError) as error:
                _log.warning("node %s: %s", self._config.node_name, error)

    async def _renew(self) -> None:
        name, now = self._config.node_name, self._clock.now()
        try:
            await self._client.write(Patch(kinds.LEASE, LEASE_NAMESPACE, name, lease_renewal(now)))
        except NotFound:
            await self._client.write(Create(kinds.LEASE, lease_doc(self.node, now)))

    async def check(self) -> None:
        """Report what changed; every five minutes report anyway. The newest object is compared:
        someone else may have marked the node as lost meanwhile. Raises ApiError, OSError."""
        try:
            newest = await self._client.get(kinds.NODE, "", self._config.node_name)
        except NotFound:
            _log.warning("node %s vanished; registering it again", self._config.node_name)
            return await self.register()
        self.node = newest
        old, images = newest.get("status") or {}, await self._images()
        status = node_status(self._config, self._look(), images, old, self._clock.now())
        old_enough = self._clock.now() - self._reported_at >= NODE_STATUS_REPORT_S
        if old_enough or not materially_equal(status, old):
            await self._report(status)

    def _down(self) -> str:
        silent_s = self._clock.monotonic() - self._answered_at
        return _DOWN if silent_s > _DOWN_AFTER_S + self._config.lease_renew_s else ""

    async def _images(self) -> list[Image]:
        """What there is; while the runtime does not answer, what there was."""
        try:
            self._known_images = await self._runtime.images()
            self._answered_at = self._clock.monotonic()
        except RuntimeFailure as error:
            _log.warning("node %s: images: %s", self._config.node_name, error)
        return self._known_images

    async def _report(self, status: Doc) -> None:
        patch = Patch(kinds.NODE, "", self._config.node_name, {"status": status}, "status")
        self.node = await self._client.write(patch)
        self._reported_at = self._clock.now()
