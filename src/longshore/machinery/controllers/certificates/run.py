"""Approve, sign and tidy away requests for certificates: see plan.py."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Iterable

from longshore.base.clock import Clock
from longshore.base.users import User
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.pki import requests
from longshore.core.pki.authority import Authority
from longshore.core.pki.requests import Asked
from longshore.core.registry.client import Client, Delete, DeleteOptions, Update
from longshore.core.registry.wishes import Wish
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.machinery.controllers.certificates import plan
from longshore.machinery.loop.answers import DONE, Answer, WakeAfter

Permits = Callable[[User, Wish], Awaitable[bool]]
"""Whether somebody may do something."""


class CertificateRequests:
    """The reconciler; its keys are names of requests."""

    name = "certificate-requests"
    watches: tuple[Kind, ...] = (kinds.CSR,)

    def __init__(
        self, cache: Cache, client: Client, clock: Clock, authority: Authority, permits: Permits
    ) -> None:
        self._cache = cache
        self._client = client
        self._clock = clock
        self._authority = authority
        self._permits = permits

    def keys(self, event: Frame) -> Iterable[str]:
        return () if event.type == "DELETED" else (event.stored.name,)

    async def reconcile(self, key: str) -> Answer:
        doc = self._cache.get(kinds.CSR, "", key)
        if doc is None:
            return DONE
        left = plan.ends_at(doc) - self._clock.now()
        if left <= 0:
            await self._client.write(
                Delete(kinds.CSR, "", key, DeleteOptions(uid=doc["metadata"]["uid"]))
            )
            return DONE
        if plan.is_ours(doc) and not (doc.get("status") or {}).get("certificate"):
            await self._further(doc)
        return WakeAfter(left)

    async def _further(self, doc: Doc) -> None:
        """One step: a decision, or a signature. The change that it makes brings the next."""
        if plan.has(doc, "Denied", "Failed"):
            return
        asked = requests.read(base64.b64decode(doc["spec"]["request"]))
        if plan.has(doc, "Approved"):
            await self._client.write(Update(kinds.CSR, self._signed(doc, asked), "status"))
            return
        approval = await self._approval(doc, asked)
        if approval is not None:
            told = plan.with_condition(doc, "Approved", "AutoApproved", approval.message)
            await self._client.write(Update(kinds.CSR, told, "approval"))

    def _signed(self, doc: Doc, asked: Asked) -> Doc:
        wrong = plan.problem(doc, asked)
        if wrong:
            return plan.with_condition(doc, "Failed", "SignerValidationFailure", wrong)
        pem = self._authority.sign(asked, doc["spec"]["usages"], plan.lifetime_s(doc))
        issued = {**(doc.get("status") or {}), "certificate": base64.b64encode(pem).decode()}
        return {**doc, "status": issued}

    async def _approval(self, doc: Doc, asked: Asked) -> plan.Approval | None:
        who = _asker(doc)
        for way in plan.approvals(doc, asked, self._addresses(who)):
            if await self._allows(way, who):
                return way
        return None

    async def _allows(self, way: plan.Approval, who: User) -> bool:
        if not way.permission:
            return True
        wish = Wish("create", kinds.CSR.group, kinds.CSR.plural, subresource=way.permission)
        return await self._permits(who, wish)

    def _addresses(self, who: User) -> list[str]:
        """What a node says of where it is, its name included."""
        node = self._cache.get(kinds.NODE, "", who.name.removeprefix("system:node:"))
        if node is None or not who.name.startswith("system:node:"):
            return []
        told = (node.get("status") or {}).get("addresses") or ()
        return [node["metadata"]["name"], *(one["address"] for one in told)]


def _asker(doc: Doc) -> User:
    spec = doc["spec"]
    extra = tuple((key, tuple(values)) for key, values in (spec.get("extra") or {}).items())
    return User(
        spec.get("username", ""), tuple(spec.get("groups") or ()), spec.get("uid", ""), extra
    )
