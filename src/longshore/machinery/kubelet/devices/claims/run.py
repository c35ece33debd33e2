"""Have the claims of pods prepared before their containers start, and given back when they have ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from weakref import WeakValueDictionary

from longshore.base.clock import Clock
from longshore.core.objects import kinds
from longshore.core.objects.errors import ApiError
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Client
from longshore.machinery.kubelet.devices.claims.drivers import Drivers
from longshore.machinery.kubelet.devices.claims.plan import (
    NotReady,
    Prepared,
    begun,
    by_driver,
    claims_needed,
    devices_of,
)
from longshore.machinery.kubelet.devices.claims.prepared import PreparedClaims
from longshore.machinery.kubelet.devices.metrics import DeviceMetrics
from longshore.machinery.kubelet.devices.peers import ClaimName, PreparedDevice


class Claims:
    """All prepared claims of the node. A claim is one pod's at a time while it is prepared or given
    back; different claims do not wait for one another."""

    def __init__(
        self,
        client: Client,
        drivers: Drivers,
        known: PreparedClaims,
        clock: Clock,
        metrics: DeviceMetrics,
    ) -> None:
        self._client = client
        self._clock = clock
        self._metrics = metrics
        self._drivers = drivers
        self._known = known
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def prepare(self, pod: Doc) -> None:
        """See that drivers have prepared the pod's claims. Raises NotReady, PluginFailure, ApiError or
        OSError; what was begun is given back when the pod ends."""
        with self._timed("PrepareResources"):
            await self._prepare(pod)

    async def _prepare(self, pod: Doc) -> None:
        wanted = [await self._begun(pod, name) for name in claims_needed(pod)]
        uid: str = pod["metadata"]["uid"]
        async with self._in_turn(one.name.uid for one in wanted):
            mine = [(self._known.get(one.name.uid) or one).used_by(uid) for one in wanted]
            if all(self._known.get(one.name.uid) == one and one.done for one in mine):
                return
            self._known.put(mine)
            await self._known.save()
            await self._prepare_all([one for one in mine if not one.done])

    async def _begun(self, pod: Doc, name: str) -> Prepared:
        try:
            claim = await self._client.get(kinds.RESOURCE_CLAIM, pod["metadata"]["namespace"], name)
        except ApiError as error:
            raise NotReady(f"fetch ResourceClaim {name}: {error.message}") from error
        return begun(pod, claim)

    async def _prepare_all(self, claims: Sequence[Prepared]) -> None:
        devices: dict[str, list[PreparedDevice]] = {one.name.uid: [] for one in claims}
        for driver, names in by_driver(claims).items():
            for uid, prepared in (await self._drivers.get(driver).prepare(names)).items():
                devices[uid] += prepared
        done = [replace(one, done=True, devices=tuple(devices[one.name.uid])) for one in claims]
        self._known.put(done)
        await self._known.save()

    async def give_back(self, uid: str) -> None:
        """A pod has ended. Claims that no other pod of the node uses are unprepared. Raises PluginFailure
        or OSError: then it is to be called again."""
        mine = self._known.of_pod(uid)
        if mine:
            with self._timed("UnprepareResources"):
                await self._give_back(uid, mine)

    async def _give_back(self, uid: str, mine: Sequence[Prepared]) -> None:
        async with self._in_turn(one.name.uid for one in mine):
            mine = self._known.of_pod(uid)
            last = [one for one in mine if one.pods == (uid,)]
            for driver, names in by_driver(last).items():
                await self._drivers.get(driver).unprepare(names)
            for one in last:
                self._known.drop(one.name.uid)
            self._known.put(one.left_by(uid) for one in mine if one not in last)
            await self._known.save()

    def devices(self, pod: Doc, container: Doc) -> list[tuple[ClaimName, PreparedDevice]]:
        """What a container has of its pod's claims."""
        mine = {one.name.name: one for one in self._known.of_pod(pod["metadata"]["uid"])}
        return list(devices_of(pod, container, mine))

    def pods(self) -> Collection[str]:
        """The uids of those that have claims prepared."""
        return self._known.pods()

    @contextmanager
    def _timed(self, operation: str) -> Iterator[None]:
        began, failed = self._clock.monotonic(), True
        try:
            yield
            failed = False
        finally:
            self._metrics.claimed(operation, self._clock.monotonic() - began, failed=failed)

    @asynccontextmanager
    async def _in_turn(self, uids: Iterable[str]) -> AsyncIterator[None]:
        async with AsyncExitStack() as turns:
            for uid in sorted(uids):
                await turns.enter_async_context(self._turns.setdefault(uid, asyncio.Lock()))
            yield
