"""Offers at work: who asks is offered a node, and what has not been taken in time is withdrawn.

An outside scheduler creates an Offer without a node and watches it. Once it is given a node, it holds
all that was free there until status.expireTime: pods are bound against it (a Binding with the
annotation of core/objects/offers.py), or it is declined by deleting it. Whether two could have the
same is decided where it is stored (core/registry/capacity), not here: a grant that comes too late is
refused there, and asked for again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator, Sequence

from longshore.base.clock import Clock, parse_rfc3339, rfc3339
from longshore.core.objects import kinds
from longshore.core.objects.errors import ApiError, Expired
from longshore.core.objects.kinds import Doc
from longshore.core.objects.pod_requests import written
from longshore.core.registry.client import (
    Answers,
    Client,
    Delete,
    DeleteOptions,
    Operation,
    Patch,
)
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.machinery.loop.alarms import Alarms
from longshore.machinery.scheduler.offers.held import HeldOffers
from longshore.machinery.scheduler.offers.plan import Ask, Grant, ask_of, grants
from longshore.machinery.scheduler.view.view import ClusterView

# How often those who found no node are looked at again, and those who came while pods waited.
AGAIN_S, BUSY_S = 1.0, 0.05
_AGAIN = ""

Picture = Callable[[], tuple[ClusterView, HeldOffers] | None]
"""The cluster as the scheduler sees it now; None while it is busy: pods go before offers."""


class OfferMaker:
    """Makes offers, and ends them."""

    def __init__(self, cache: Cache, client: Client, clock: Clock, picture: Picture) -> None:
        self._cache, self._client, self._clock = cache, client, clock
        self._picture = picture
        self._asks: dict[str, Ask] = {}
        # Offers that begin or end, by name: what that takes is found out when it is written.
        self._due: dict[str, None] = {}
        self._some = asyncio.Event()
        self._log = logging.getLogger("longshore.offers")

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as crew:
            self._alarms: Alarms[str] = Alarms(self._clock, self._ring, crew)
            crew.create_task(self._hear(), name="offers heard of")
            crew.create_task(self._work(), name="offers made")

    async def _hear(self) -> None:
        while True:
            feed = self._cache.subscribe(kinds.OFFER, kinds.NODE)
            try:
                while True:
                    for frame in await feed.next_batch():
                        self._hear_one(frame)
            except Expired:
                self._asks.clear()
            finally:
                feed.close()

    def _hear_one(self, frame: Frame) -> None:
        try:
            self._take_in(frame)
        except Exception:  # noqa: BLE001 - the loop's rim: one odd object must not stop offers
            self._log.exception("%s not understood", frame.stored.key)

    def _take_in(self, frame: Frame) -> None:
        name = frame.stored.name
        if frame.kind is kinds.NODE:
            if frame.type == "DELETED":
                for stored in self._cache.shelf(kinds.OFFER).found(("node", name)):
                    self._see(stored.doc)
            return
        self._asks.pop(name, None)
        if frame.type == "DELETED":
            return
        if not frame.doc["spec"].get("nodeName"):
            self._asks[name] = ask_of(frame.doc)
            self._some.set()
        else:
            self._see(frame.doc)

    def _see(self, offer: Doc) -> None:
        """An offer has a node: is there something to be written of it, now or one day?"""
        name, end = offer["metadata"]["name"], _end(offer)
        if self._next(offer) is not None:
            self._due[name] = None
            self._some.set()
        elif end is not None:
            self._alarms.set(name, end - self._clock.now())

    def _next(self, offer: Doc) -> Operation | None:
        """What is to be written of an offer with a node, as things are."""
        end, now = _end(offer), self._clock.now()
        if self._cache.get(kinds.NODE, "", offer["spec"]["nodeName"]) is None:
            return _ended(offer)
        if end is None:
            return _begun(offer, now)
        return _ended(offer) if end <= now else None

    def _ring(self, name: str) -> None:
        offer = self._cache.get(kinds.OFFER, "", name) if name != _AGAIN else None
        if offer is not None and offer["spec"].get("nodeName"):
            self._see(offer)
        self._some.set()

    async def _work(self) -> None:
        while True:
            await self._some.wait()
            self._some.clear()
            again_s = AGAIN_S
            try:
                again_s = await self._turn()
            except Exception:  # noqa: BLE001 - the loop's rim: offers must go on whatever fails
                self._log.exception("offers not made")
            if self._asks or self._due:
                self._alarms.set(_AGAIN, again_s)

    async def _turn(self) -> float:
        """Write what is due, and offer what is left over; when to do so again, in seconds."""
        await self._write_due()
        picture = self._picture() if self._asks else None
        if picture is None:
            return AGAIN_S if self._due else BUSY_S
        view, held = picture
        await self._grant(grants(view, list(self._asks.values()), held.used()))
        return AGAIN_S

    async def _write_due(self) -> None:
        """What fails stays due, unless it is gone or changed by then: it is looked at anew."""
        work = dict(self._operations())
        for name in self._due.keys() - work.keys():
            del self._due[name]
        for name, answer in zip(work, await self._submit(work.values()), strict=True):
            if isinstance(answer, ApiError):
                self._log.info("%s: not written: %s", name, answer.message)
            else:
                self._due.pop(name, None)

    def _operations(self) -> Iterator[tuple[str, Operation]]:
        for name in self._due:
            offer = self._cache.get(kinds.OFFER, "", name)
            if offer is not None and offer["spec"].get("nodeName"):
                operation = self._next(offer)
                if operation is not None:
                    yield name, operation

    async def _submit(self, operations: Collection[Operation]) -> Answers:
        return await self._client.submit(list(operations)) if operations else []

    async def _grant(self, granted: Sequence[Grant]) -> None:
        """Who is refused goes on asking."""
        answers = await self._submit([_given(grant) for grant in granted])
        for grant, answer in zip(granted, answers, strict=True):
            if isinstance(answer, ApiError):
                self._log.info("%s: not offered: %s", grant.ask.name, answer.message)
            elif self._asks.get(grant.ask.name) is grant.ask:
                del self._asks[grant.ask.name]


def _end(offer: Doc) -> float | None:
    """When an offer ends, in seconds since the epoch; None as long as it has not begun."""
    end = (offer.get("status") or {}).get("expireTime")
    return None if end is None else parse_rfc3339(end)


def _ended(offer: Doc) -> Delete:
    metadata = offer["metadata"]
    return Delete(kinds.OFFER, "", metadata["name"], DeleteOptions(uid=metadata["uid"]))


def _begun(offer: Doc, now: float) -> Patch:
    """Says until when an offer stands."""
    metadata, lease_s = offer["metadata"], offer["spec"]["leaseDurationSeconds"]
    offered = {
        "type": "Offered", "status": "True", "reason": "NodeFound", "message": "",
        "lastTransitionTime": rfc3339(now),
    }  # fmt: skip
    status = {"expireTime": rfc3339(now + lease_s), "conditions": [offered]}
    patch = {"metadata": {"uid": metadata["uid"]}, "status": status}
    return Patch(kinds.OFFER, "", metadata["name"], patch, "status")


def _given(grant: Grant) -> Patch:
    amounts = {name: written(name, value) for name, value in grant.amounts.items()}
    spec = {"nodeName": grant.node, "resources": amounts}
    patch = {"metadata": {"uid": grant.ask.uid}, "spec": spec}
    return Patch(kinds.OFFER, "", grant.ask.name, patch)
