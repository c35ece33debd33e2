"""The commit queue of one server among several.

Its writes become visible as everybody's do: when the store tells of them, in the order of revisions
(following.py). A write is acknowledged when this server has heard of it, so whoever wrote reads what
they wrote. To show one's own writes at once would be sooner by less than a millisecond, and would show
watchers a newer revision before an older one.

etcd may be silent for as long as it has no majority. Its store waits until it knows what became of
a transaction; writers do not: they are told after a while that it is not known, and new ones that
nothing was written.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from longshore.base.clock import Clock
from longshore.core.objects.kinds import Kind
from longshore.core.registry.commits import CommitQueue, InDoubt, Intent, Pending, refusal
from longshore.core.registry.fencing import Fence
from longshore.core.store.protocol import (
    Claim,
    SharedStore,
    StoreBusy,
    StoreError,
    StoreSilent,
    StoreTooLarge,
    Write,
)
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.core.watch.stored import Stored

log = logging.getLogger("longshore.registry")

# How long writers wait for a store that does not answer: several elections, and well below the 60 s
# that a request may take.
PATIENCE_S = 10.0
_LOOK_S = 1.0
_AGAIN_S = 0.5
NO_ANSWER = "the store does not answer; etcd may have lost its majority"

Claims = Callable[[Kind, str, Intent], tuple[Claim, ...]]


class SharedPending(Pending):
    """A Pending with its claims, and what the store has told of its key meanwhile."""

    __slots__ = ("claims", "heard")

    claims: tuple[Claim, ...]
    heard: dict[int, Stored]

    def to_store(self, cache: Cache) -> Write:
        plain = super().to_store(cache)
        return Write(plain.key, plain.value, plain.expect, plain.guard, self.claims)

    def hear(self, frame: Frame, value: bytes | None) -> None:
        """The store tells of a change of the key. What is as it was planned need not be decoded."""
        stored, doc = frame.stored, self.intent.doc
        self.heard[stored.revision] = stored
        if doc is not None and value == self.intent.value:
            doc["metadata"]["resourceVersion"] = str(stored.revision)
            stored.keep(doc)

    def made(self, revision: int) -> Stored:
        """What came of the write. It was not told of if the cache was read anew meanwhile."""
        if revision in self.heard:
            return self.heard[revision]
        if self.intent.value is None:
            assert self.intent.before is not None, self.key
            return self.intent.before.at(revision)
        return Stored.read(self.kind, self.key, self.intent.value, revision)


class SharedQueue(CommitQueue):
    """Commits what has gathered, and waits until reach(revision) says that the cache has it."""

    def __init__(
        self,
        store: SharedStore,
        cache: Cache,
        clock: Clock,
        claims: Claims,
        reach: Callable[[int], Awaitable[None]],
    ) -> None:
        super().__init__(store, cache, clock)
        self._shared = store
        self._claims = claims
        self._reach = reach
        self._under_way: list[Pending] = []
        self._since = 0.0
        self.silent = False

    def _made(
        self,
        kind: Kind,
        key: str,
        intent: Intent,
        batch_done: asyncio.Future[None],
        fence: Fence | None,
    ) -> Pending:
        pending = SharedPending(kind, key, intent, batch_done, fence)
        pending.claims, pending.heard = self._claims(kind, key, intent), {}
        return pending

    def check_room(self) -> None:
        """Raises Unavailable too, while the store is silent."""
        if self.silent:
            raise refusal(StoreSilent(NO_ANSWER))
        super().check_room()

    async def watch_over(self) -> None:
        """Answer the writers when the store does not, until cancelled."""
        while True:
            await self._clock.sleep(_LOOK_S)
            if self._under_way and self._clock.monotonic() - self._since >= PATIENCE_S:
                self._give_up()

    def _give_up(self) -> None:
        if not self.silent:
            log.warning(NO_ANSWER)
        self.silent = True
        for pending in self._under_way:
            pending.error = InDoubt(f"{NO_ANSWER}: it is not known whether this was written")
            pending.answer()
            if not pending.batch_done.done():
                pending.batch_done.set_result(None)
        waiting, done = self._gathering, self._batch_done
        if done is not None:
            self._gathering, self._batch_done = [], None
            self._wake.clear()
            self._fail(waiting, StoreSilent(NO_ANSWER))
            self._end(waiting, done)

    async def _commit(self, batch: list[Pending]) -> None:
        self._under_way, self._since = batch, self._clock.monotonic()
        try:
            await self._commit_all(batch)
        finally:
            self._under_way, self.silent = [], False

    async def _commit_all(self, batch: list[Pending]) -> None:
        try:
            revisions = await self._store.commit([one.to_store(self.cache) for one in batch])
        except StoreTooLarge as error:
            if len(batch) > 1:  # the others are not to blame
                for pending in batch:
                    await self._commit_all([pending])
            else:
                self._fail(batch, error)
        except StoreError as error:
            self._fail(batch, error)
            if isinstance(error, StoreBusy):
                raise
        else:
            await self._reach(max(revisions) if all(revisions) else await self._newest())
            for pending, revision in zip(batch, revisions, strict=True):
                assert isinstance(pending, SharedPending)
                pending.stored = pending.made(revision) if revision else None
            stale = [one for one, at in zip(batch, revisions, strict=True) if not at]
            self._fail(stale, None)

    async def _newest(self) -> int:
        """How far this server has to hear before stale plans are made again."""
        while True:
            try:
                return await self._shared.newest()
            except StoreSilent:
                await self._clock.sleep(_AGAIN_S)
