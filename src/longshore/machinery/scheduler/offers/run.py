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
from collections.abc import Callable, Sequence

from longshore.base.clock import Clock, parse_rfc3339, rfc3339
from longshore.core.objects import kinds
from longshore.core.objects.errors import ApiError, Expired
from longshore.core.objects.kinds import Doc
from longshore.core.objects.pod_requests import written
from longshore.core.registry.client import Client, Delete, DeleteOptions, Operation, Patch
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
        self._due: list[Operation] = []
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
                    self._end(stored.doc)
            return
        self._asks.pop(name, None)
        if frame.type == "DELETED":
            return
        if not frame.doc["spec"].get("nodeName"):
            self._asks[name] = ask_of(frame.doc)
            self._some.set()
        else:
            self._time(frame.doc)

    def _time(self, offer: Doc) -> None:
        """An offer with a node ends one day."""
        name, end = offer["metadata"]["name"], (offer.get("status") or {}).get("expireTime")
        if end is not None:
            self._alarms.set(name, parse_rfc3339(end) - self._clock.now())
            return
        self._do(_begun(offer, self._clock.now()))

    def _ring(self, name: str) -> None:
        if name == _AGAIN:
            self._some.set()
            return
        offer = self._cache.get(kinds.OFFER, "", name)
        if offer is None:
            return
        end = (offer.get("status") or {}).get("expireTime")
        if end is not None and parse_rfc3339(end) <= self._clock.now():
            self._end(offer)
        else:
            self._time(offer)

    def _end(self, offer: Doc) -> None:
        metadata = offer["metadata"]
        self._do(Delete(kinds.OFFER, "", metadata["name"], DeleteOptions(uid=metadata["uid"])))

    def _do(self, operation: Operation) -> None:
        self._due.append(operation)
        self._some.set()

    async def _work(self) -> None:
        while True:
            await self._some.wait()
            self._some.clear()
            try:
                again_s = await self._turn()
            except Exception:  # noqa: BLE001 - the loop's rim: offers must go on whatever fails
                self._log.exception("offers not made")
                again_s = AGAIN_S
            if self._asks:
                self._alarms.set(_AGAIN, again_s)

    async def _turn(self) -> float:
        """Write what is due, and offer what is left over; when to do so again, in seconds."""
        due, self._due = self._due, []
        # What fails is gone, or changed: it is heard of.
        await self._client.submit(due)
        picture = self._picture() if self._asks else None
        if picture is None:
            return BUSY_S
        view, held = picture
        await self._grant(grants(view, list(self._asks.values()), held.used()))
        return AGAIN_S

    async def _grant(self, granted: Sequence[Grant]) -> None:
        asks = [self._asks.pop(grant.name) for grant in granted]
        answers = await self._client.submit([_given(grant) for grant in granted])
        for ask, answer in zip(asks, answers, strict=True):
            if isinstance(answer, ApiError) and self._still_asks(ask):
                self._log.info("%s: not offered: %s", ask.name, answer.message)
                self._asks.setdefault(ask.name, ask)

    def _still_asks(self, ask: Ask) -> bool:
        offer = self._cache.get(kinds.OFFER, "", ask.name)
        return offer is not None and not offer["spec"].get("nodeName")


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
    return Patch(kinds.OFFER, "", grant.name, {"spec": spec})
