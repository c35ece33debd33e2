"""Give pods the devices that they ask for, once, when they come to the node (KEP-606)."""

from __future__ import annotations

import asyncio

from longshore.base.clock import Clock
from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.devices.assignments import Assignments
from longshore.machinery.kubelet.devices.model import Grant, PluginFailure
from longshore.machinery.kubelet.devices.plan import (
    DevicesMissing,
    choice,
    ids_of,
    in_order,
    reusable,
    settled,
    wanted,
)
from longshore.machinery.kubelet.devices.plugins import Plugins
from longshore.machinery.runtime.waiting import within

# How long a pod waits for those before it, which get FORCED_GRACE_S.
LEAVING_S = 10.0


class Allocator:
    """Devices of plugins, pod by pod."""

    def __init__(self, plugins: Plugins, assignments: Assignments, clock: Clock) -> None:
        self._plugins = plugins
        self._assignments = assignments
        self._clock = clock
        self._leaving: set[str] = set()
        self._freed = asyncio.Event()
        # One pod after another: a device must not be promised to two while a plugin thinks.
        self._turn = asyncio.Lock()

    async def give(self, pod: Doc) -> None:
        """See that the pod has its devices. Raises DevicesMissing, PluginFailure or OSError, and then
        it has none."""
        known = self._plugins.resources
        if not any(wanted(container, known) for container in in_order(pod["spec"])):
            return
        async with self._turn:
            uid: str = pod["metadata"]["uid"]
            if self._assignments.of(uid):
                return
            try:
                await self._give_in_time(pod, uid)
                await self._assignments.save()
            except (DevicesMissing, PluginFailure, OSError):
                self._assignments.take_back(uid)
                raise

    async def _give_in_time(self, pod: Doc, uid: str) -> None:
        """Once more when pods have gone that nobody knows of any more, and whose containers still end."""
        while True:
            self._freed.clear()
            try:
                return await self._give_all(pod, uid)
            except DevicesMissing:
                if not self._leaving or not await within(self._clock, LEAVING_S, self._freed):
                    raise
                self._assignments.take_back(uid)

    async def _give_all(self, pod: Doc, uid: str) -> None:
        for container in in_order(pod["spec"]):
            for resource, count in wanted(container, self._plugins.resources).items():
                grant = await self._grant(pod, uid, resource, count)
                self._assignments.give(uid, container["name"], grant)

    async def _grant(self, pod: Doc, uid: str, resource: str, count: int) -> Grant:
        reuse = reusable(pod["spec"], self._assignments.of(uid), resource)
        healthy, used = self._plugins.healthy(resource), self._assignments.used(resource)
        options = choice(resource, count, healthy, used, reuse)
        preferred = await self._plugins.preferred(resource, options)
        return await self._plugins.allocate(resource, settled(options, preferred))

    async def before_start(self, uid: str, container: str) -> None:
        """Raises PluginFailure where a plugin does not want the container to start."""
        grants = self._assignments.of(uid).get(container, ())
        for resource in sorted({grant.resource for grant in grants}):
            await self._plugins.before_start(resource, sorted(ids_of(grants, resource)))

    def leave(self, uid: str) -> None:
        """The API server has the pod no longer, and gives its devices to another; its containers are being
        stopped, and then take_back() is called."""
        if self._assignments.of(uid):
            self._leaving.add(uid)

    async def take_back(self, uid: str) -> None:
        """The pod has ended. Raises OSError."""
        self._leaving.discard(uid)
        if self._assignments.take_back(uid):
            self._freed.set()
            await self._assignments.save()

    async def remember(self) -> None:
        """Write down which resources there are, if that is news. Raises OSError."""
        if self._plugins.resources != self._assignments.resources:
            self._assignments.resources = set(self._plugins.resources)
            await self._assignments.save()
