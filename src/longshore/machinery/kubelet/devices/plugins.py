"""Device plugins: who is registered, what each offers, and what it is asked.

Contract: k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1 and kubernetes.io, "Device Plugins". What a plugin that
is gone has offered is unhealthy, and after a while no more (devicemanager: GetCapacity).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from longshore.base.clock import Clock
from longshore.core.objects.names import is_extended_resource
from longshore.machinery.kubelet.devices.metrics import DeviceMetrics
from longshore.machinery.kubelet.devices.model import Grant, PluginFailure
from longshore.machinery.kubelet.devices.peers import (
    DEVICE_PLUGIN_VERSION,
    DevicePlugin,
    Listed,
    PluginOptions,
    Registration,
)
from longshore.machinery.kubelet.devices.plan import Choice

_log = logging.getLogger("longshore.kubelet.devices")
# How long the devices of a plugin that is gone are still counted (endpointStopGracePeriod).
REMEMBERED_S = 300.0


@dataclass(slots=True)
class _Offer:
    """What there is of one resource. plugin is None once it is gone."""

    plugin: DevicePlugin | None = None
    options: PluginOptions = field(default_factory=PluginOptions)
    devices: Mapping[str, Listed] = field(default_factory=dict)
    following: asyncio.Task[None] | None = None


class Plugins:
    """All device plugins of the node. changed() is called whenever there are more or fewer devices."""

    def __init__(
        self,
        clock: Clock,
        crew: asyncio.TaskGroup,
        changed: Callable[[], None],
        metrics: DeviceMetrics,
    ) -> None:
        self._clock = clock
        self._crew = crew
        self._changed = changed
        self._metrics = metrics
        self._offers: dict[str, _Offer] = {}

    @property
    def resources(self) -> frozenset[str]:
        return frozenset(self._offers)

    def expect(self, resource: str) -> None:
        """A plugin offered it in an earlier life: it counts as none until that one is back."""
        self._offers.setdefault(resource, _Offer())

    def devices(self, resource: str) -> Mapping[str, Listed]:
        offer = self._offers.get(resource)
        return offer.devices if offer else {}

    def healthy(self, resource: str) -> frozenset[str]:
        return frozenset(one for one, listed in self.devices(resource).items() if listed.healthy)

    def capacity(self) -> dict[str, int]:
        return {resource: len(offer.devices) for resource, offer in self._offers.items()}

    def allocatable(self) -> dict[str, int]:
        return {resource: len(self.healthy(resource)) for resource in self._offers}

    # -- registration ------------------------------------------------------------------------

    def register(self, given: Registration, plugin: DevicePlugin) -> None:
        """A plugin offers a resource; who offered it before has lost it. Raises PluginFailure."""
        if given.version != DEVICE_PLUGIN_VERSION:
            raise PluginFailure(
                f'requested API version "{given.version}" is not supported by kubelet. '
                f'Supported version is ["{DEVICE_PLUGIN_VERSION}"]'
            )
        if not is_extended_resource(given.resource):
            raise PluginFailure(f'the ResourceName "{given.resource}" is invalid')
        self._metrics.registered(given.resource)
        offer = self._offers.setdefault(given.resource, _Offer())
        if offer.following is not None:
            offer.following.cancel()
            offer.plugin = None
        work = self._follow(given, plugin, offer)
        offer.following = self._crew.create_task(work, name=f"device plugin {given.resource}")

    async def _follow(self, given: Registration, plugin: DevicePlugin, offer: _Offer) -> None:
        """Until the plugin ends, or another one takes its place."""
        try:
            await plugin.connect()
            offer.plugin, offer.options = plugin, given.options
            async for devices in plugin.devices():
                self._take(offer, devices)
        except PluginFailure as error:
            _log.warning("device plugin %s: %s", given.resource, error)
        finally:
            await plugin.close()
        await self._leave(given.resource, offer)

    def _take(self, offer: _Offer, devices: Mapping[str, Listed]) -> None:
        if offer.devices != devices:
            offer.devices = devices
            self._changed()

    async def _leave(self, resource: str, offer: _Offer) -> None:
        _log.info("device plugin %s is gone", resource)
        offer.plugin = None
        gone = {one: Listed(False, listed.numa) for one, listed in offer.devices.items()}
        self._take(offer, gone)
        await self._clock.sleep(REMEMBERED_S)
        self._take(offer, {})

    # -- what they are asked -----------------------------------------------------------------

    async def preferred(self, resource: str, choice: Choice) -> Sequence[str]:
        """What the plugin prefers, if it cares. One that does not answer has no say."""
        offer = self._offers[resource]
        if offer.plugin is None or not offer.options.prefers:
            return ()
        try:
            return await offer.plugin.prefer(choice)
        except PluginFailure as error:
            _log.warning("device plugin %s: %s", resource, error)
            return ()

    async def allocate(self, resource: str, ids: Sequence[str]) -> Grant:
        """Raises PluginFailure."""
        plugin = self._offers[resource].plugin
        if plugin is None:
            raise PluginFailure(f"endpoint {resource} has been stopped")
        began = self._clock.monotonic()
        grant = await plugin.allocate(resource, ids)
        self._metrics.allocated(resource, self._clock.monotonic() - began)
        return grant

    async def before_start(self, resource: str, ids: Sequence[str]) -> None:
        """A container is about to start with these. Raises PluginFailure."""
        offer = self._offers.get(resource)
        if offer is None or offer.plugin is None or not offer.options.pre_start:
            return
        try:
            await offer.plugin.pre_start(ids)
        except PluginFailure as error:
            message = f"device plugin PreStartContainer rpc failed with err: {error}"
            raise PluginFailure(message) from error
