"""Stand for a Lease, and lead while it is held.

What leads is started afresh for each term and is cancelled when the term ends. That alone is no
guarantee, for a process can be stopped between any two instructions: what leads writes behind
the term's fence (core/registry/fencing.py), which the store itself keeps.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from longshore.base.chance import Chance
from longshore.base.clock import Clock
from longshore.core.objects.errors import ApiError, Expired
from longshore.core.objects.kinds import LEASE, Doc
from longshore.core.registry.client import Client, Create, Update
from longshore.core.registry.fencing import Fence
from longshore.machinery.election.plan import (
    JITTER,
    Rules,
    Seen,
    free_in,
    released,
    renewed,
    taken,
)

# How long a candidate that ends tries to give its Lease back.
_RELEASE_S = 2.0
_log = logging.getLogger("longshore.election")

Lead = Callable[[Fence], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Candidate:
    """Who stands for which Lease. identity is one process's own: upstream's is HOST_UUID."""

    namespace: str
    name: str
    identity: str


class Election:
    """One candidate. lead is given the fence of its term, and runs until it is cancelled."""

    def __init__(
        self,
        candidate: Candidate,
        client: Client,
        clock: Clock,
        chance: Chance,
        rules: Rules,
        lead: Lead,
    ) -> None:
        assert not rules.fault(), rules.fault()
        self._me = candidate
        self._client = client
        self._clock = clock
        self._chance = chance
        self._rules = rules
        self._lead = lead
        self._seen: Seen | None = None
        self._changed = asyncio.Event()
        self.leads = False

    async def run(self) -> None:
        """Until cancelled; then the Lease is given back if it is held. What lead raises ends it."""
        async with asyncio.TaskGroup() as crew:
            crew.create_task(self._observe(), name=f"observe {self._me.name}")
            try:
                while True:
                    await self._serve(await self._elected())
            finally:
                await self._within(_RELEASE_S, self._release())

    # --- what is known of the Lease ---

    async def _observe(self) -> None:
        me = self._me
        chosen = f"metadata.name={me.name}"
        while True:
            try:
                listing, feed = await self._client.list_and_watch(
                    LEASE, me.namespace, fields=chosen
                )
                self._note(listing.items[0] if listing.items else None)
                while True:
                    for change in await feed.next_batch():
                        self._note(None if change.type == "DELETED" else change.doc)
            except Expired:
                continue
            except ApiError as error:
                _log.info("%s is not to be seen: %s", me.name, error)
                await self._clock.sleep(self._rules.retry_s)

    def _note(self, doc: Doc | None) -> None:
        """The Lease is so. What is older than what is known, or the same, is no news."""
        known = self._seen
        seen = Seen(doc, self._clock.monotonic())
        if known is not None:
            if known.revision == seen.revision:
                return
            if doc is not None and known.doc is not None and _older(doc, known.doc):
                return
        self._seen = seen
        self._changed.set()

    # --- standing ---

    async def _elected(self) -> Fence:
        """Wait for the Lease, and take it."""
        while True:
            wait_s = self._wait_s()
            if wait_s > 0:
                await self._pause(wait_s)
            elif (doc := await self._written(self._taking())) is not None:
                return self._term(doc)
            else:
                await self._pause(self._rules.retry_s * self._chance.uniform(1.0, JITTER))

    def _wait_s(self) -> float:
        if self._seen is None:
            return self._rules.retry_s
        return free_in(self._seen, self._me.identity, self._clock.monotonic())

    def _taking(self) -> Create | Update:
        assert self._seen is not None
        me, wall = self._me, self._clock.now()
        doc = taken(self._seen, me.namespace, me.name, me.identity, self._rules, wall)
        return Create(LEASE, doc) if self._seen.doc is None else Update(LEASE, doc)

    def _term(self, doc: Doc) -> Fence:
        seen = Seen(doc, 0.0)
        _log.info("%s holds %s, term %d", self._me.identity, self._me.name, seen.transitions)
        return Fence(self._me.namespace, self._me.name, self._me.identity, seen.transitions)

    # --- leading ---

    async def _serve(self, term: Fence) -> None:
        """Lead until the Lease is lost."""
        self.leads = True
        try:
            async with asyncio.TaskGroup() as crew:
                work = crew.create_task(self._lead(term), name=f"leading: {self._me.name}")
                await self._keep(term)
                work.cancel()
        finally:
            self.leads = False
        _log.warning("%s lost %s", self._me.identity, self._me.name)

    async def _keep(self, term: Fence) -> None:
        """Renew the Lease. Returns when it is another's, or was not renewed for too long."""
        rules, clock = self._rules, self._clock
        good_until = clock.monotonic() + rules.renew_deadline_s
        while self._is_held(term):
            await self._pause(min(rules.retry_s, good_until - clock.monotonic()))
            begun = clock.monotonic()
            if begun >= good_until or not self._is_held(term):
                return
            if await self._within(good_until - begun, self._renewal()):
                good_until = begun + rules.renew_deadline_s

    def _is_held(self, term: Fence) -> bool:
        seen = self._seen
        assert seen is not None
        return (seen.holder, seen.transitions) == (term.holder, term.transitions)

    async def _renewal(self) -> bool:
        assert self._seen is not None and self._seen.doc is not None
        doc = renewed(self._seen.doc, self._clock.now())
        return await self._written(Update(LEASE, doc)) is not None

    async def _release(self) -> bool:
        seen = self._seen
        if seen is None or seen.doc is None or seen.holder != self._me.identity:
            return False
        return await self._written(Update(LEASE, released(seen.doc, self._clock.now()))) is not None

    async def _written(self, operation: Create | Update) -> Doc | None:
        """The Lease as it was written; None if it was not, for whatever reason."""
        try:
            doc = await self._client.write(operation)
        except (ApiError, OSError) as error:
            _log.info("%s was not written: %s", self._me.name, error)
            return None
        self._note(doc)
        return doc

    # --- waiting ---

    async def _pause(self, seconds: float) -> None:
        """Return when that much time is over, or sooner if the Lease changes."""
        self._changed.clear()
        await self._within(seconds, self._changed.wait())

    async def _within(self, seconds: float, work: Coroutine[Any, Any, bool]) -> bool:
        """What comes of work, which is given up after that many seconds (False)."""
        async with asyncio.TaskGroup() as crew:
            task = crew.create_task(work)
            timer = crew.create_task(self._clock.sleep(seconds))
            await asyncio.wait((task, timer), return_when=asyncio.FIRST_COMPLETED)
            came = task.done() and task.result()
            task.cancel()
            timer.cancel()
        return came


def _older(doc: Doc, known: Doc) -> bool:
    """Whether a document is an older state of the same object."""
    ours, theirs = doc["metadata"], known["metadata"]
    same = ours["uid"] == theirs["uid"]
    return same and int(ours["resourceVersion"]) < int(theirs["resourceVersion"])
