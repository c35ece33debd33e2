"""Keep IPAddresses in step with Services, and ServiceCIDRs true to what they are for: see plan.py."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import NamedTuple

from longshore.base.clock import Clock
from longshore.core.objects import kinds
from longshore.core.objects.errors import NotFound
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.client import Client, Create, Delete, DeleteOptions, Update
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.machinery.controllers.addresses import plan as planning
from longshore.machinery.controllers.common.owners import patch_metadata
from longshore.machinery.loop.answers import DONE, Answer


class Key(NamedTuple):
    """An address and a Service that holds it, or held it; or a ServiceCIDR's name alone."""

    address: str
    namespace: str
    name: str


class ServiceAddresses:
    """The reconciler."""

    name = "service-addresses"
    watches: tuple[Kind, ...] = (kinds.SERVICE, kinds.IP_ADDRESS, kinds.SERVICE_CIDR)

    def __init__(self, cache: Cache, client: Client, clock: Clock) -> None:
        self._cache = cache
        self._client = client
        self._clock = clock

    def keys(self, event: Frame) -> Iterable[Key]:
        if event.kind is kinds.SERVICE_CIDR:
            return (Key("", "", event.stored.name),)
        if event.kind is kinds.IP_ADDRESS:
            service = planning.parent_of(event.doc)
            return () if service is None else (Key(event.stored.name, *service),)
        before = planning.addresses_of(event.before.doc) if event.before is not None else []
        held = dict.fromkeys([*before, *planning.addresses_of(event.doc)])
        return [Key(one, event.stored.namespace, event.stored.name) for one in held]

    async def reconcile(self, key: Key) -> Answer:
        if not key.address:
            return await self._range(key.name)
        service = key.namespace, key.name
        holder = self._cache.get(kinds.SERVICE, *service)
        there = self._cache.get(kinds.IP_ADDRESS, "", key.address)
        plan = planning.plan(key.address, service, holder, there)
        if plan.delete is not None:
            await self._delete(plan.delete)
        if plan.create is not None:
            await self._client.write(Create(kinds.IP_ADDRESS, plan.create))
        return DONE

    async def _delete(self, address: Doc) -> None:
        metadata = address["metadata"]
        options = DeleteOptions(uid=metadata["uid"])
        with contextlib.suppress(NotFound):
            await self._client.write(Delete(kinds.IP_ADDRESS, "", metadata["name"], options))

    async def _range(self, name: str) -> Answer:
        there = self._cache.get(kinds.SERVICE_CIDR, "", name)
        if there is None:
            return DONE
        if planning.is_unprotected(there):
            finalizers = [*(there["metadata"].get("finalizers") or ()), planning.FINALIZER]
            protected = {"finalizers": finalizers}
            there = await self._client.write(patch_metadata(kinds.SERVICE_CIDR, there, protected))
        status = planning.readiness(there, self._clock.now())
        if status is not None:
            told = {**there, "status": status}
            await self._client.write(Update(kinds.SERVICE_CIDR, told, "status"))
        return DONE
