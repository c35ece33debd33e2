"""Static pods start also while nobody can say which policies there are for them."""

from __future__ import annotations

import asyncio

from longshore.base.clock import Clock
from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.config import RETRY_S
from longshore.machinery.kubelet.network import Guard, PodNetwork
from longshore.machinery.network.errors import NetworkFailure


class LateGuard:
    """A Guard that lets a pod start, and sees to its policies as soon as they can be known: an API server
    that is a static pod itself could never start otherwise."""

    def __init__(
        self, guard: Guard, network: PodNetwork, clock: Clock, crew: asyncio.TaskGroup
    ) -> None:
        self._guard = guard
        self._network = network
        self._clock = clock
        self._crew = crew

    async def admit(self, pod: Doc, ip: str) -> None:
        if not await self._admitted(pod, ip):
            self._crew.create_task(self._later(pod, ip), name="policies of a static pod")

    async def _later(self, pod: Doc, ip: str) -> None:
        uid = pod["metadata"]["uid"]
        while uid in self._network.attached():
            await self._clock.sleep(RETRY_S)
            if uid not in self._network.attached() or await self._admitted(pod, ip):
                return

    async def _admitted(self, pod: Doc, ip: str) -> bool:
        try:
            await self._guard.admit(pod, ip)
        except NetworkFailure:
            return False
        return True
