"""The commit queue: all writes that wait are one store transaction; the next batch gathers meanwhile.

Nothing is acknowledged before it is on disk, and nothing is visible before it is acknowledged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from longshore.base.clock import Clock
from longshore.base.limits import COMMIT_QUEUE_MAX
from longshore.core.objects.errors import (
    ApiError,
    InsufficientStorage,
    InternalError,
    Timeout,
    TooLarge,
    TooManyRequests,
    Unavailable,
)
from longshore.core.objects.kinds import Doc, Kind, Ref
from longshore.core.registry.fencing import Fence
from longshore.core.store.protocol import (
    Store,
    StoreBusy,
    StoreError,
    StoreFull,
    StoreSilent,
    StoreStopped,
    StoreTooLarge,
    Write,
)
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.core.watch.stored import NOTHING, Encoded, Stored


class InDoubt(StoreError):
    """It will be known later what became of a write; its writer does not wait for that."""


class Intent(NamedTuple):
    """Store doc (None: delete) in place of before, the state that it was made of (None: there must
    be nothing). made is doc at rest, which has no revision yet, and value what the store has of it."""

    doc: Doc | None
    before: Stored | None
    made: Stored | None
    value: bytes | None

    @classmethod
    def of(
        cls, kind: Kind, doc: Doc | None, before: Stored | None, encoded: Encoded = NOTHING
    ) -> Intent:
        """encoded are fields whose bytes are known."""
        if doc is None:
            return cls(None, before, None, None)
        # One string for all who keep it.
        key = kind.key_of(doc) if before is None else before.key
        return cls(doc, before, *Stored.laid(kind, key, doc, encoded))


class Pending:
    """One write on its way. After its batch is through, stored is what is now there, or error says
    why not; neither means that another server was faster: plan again. Its writer waits for it alone,
    others for batch_done."""

    __slots__ = (
        "_is_through", "_waiter", "batch_done", "error", "fence", "intent", "key", "kind", "stored",
    )  # fmt: skip

    def __init__(
        self,
        kind: Kind,
        key: str,
        intent: Intent,
        batch_done: asyncio.Future[None],
        fence: Fence | None,
    ) -> None:
        self.kind = kind
        self.key = key
        self.intent = intent
        self._is_through = False
        self._waiter: asyncio.Future[None] | None = (
            None  # of a batch, few are waited for one by one
        )
        self.batch_done = batch_done
        self.fence = fence
        self.stored: Stored | None = None
        self.error: StoreError | None = None

    async def wait(self) -> Stored | None:
        """What was stored; None if the plan is stale. To be called once. Raises ApiError if the
        store failed."""
        if not self._is_through:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self.error is not None:
            raise refusal(self.error)
        return self.stored

    def answer(self) -> None:
        """Let the writer go on, unless it is gone."""
        self._is_through = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def settled(self) -> None:
        """Return when the write is through, well or not."""
        await asyncio.shield(self.batch_done)

    def to_store(self, cache: Cache) -> Write:
        """The write as the store takes it, with what it has to find there."""
        before = self.intent.before
        revision = 0 if before is None else before.revision
        guard = None if self.fence is None else self.fence.guard(cache)
        return Write(self.key, self.intent.value, revision, guard)


class CommitQueue:
    """Takes planned writes, one at a time for each key, and commits what has gathered."""

    def __init__(self, store: Store, cache: Cache, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self.cache = cache
        self._gathering: list[Pending] = []
        self._batch_done: asyncio.Future[None] | None = None
        self._in_flight: dict[str, Pending] = {}
        self._wake: asyncio.Event = asyncio.Event()
        self.on_applied: Callable[[Frame], None] | None = None
        self.on_failed: Callable[[list[Pending]], None] | None = None

    def in_flight(self, key: str) -> Pending | None:
        """The write of a key that is not through yet: wait for it, then plan on what it left."""
        return self._in_flight.get(key)

    def check_room(self) -> None:
        """To be asked before a write is planned, for plans reserve things. Raises TooManyRequests."""
        if len(self._gathering) >= COMMIT_QUEUE_MAX:
            raise TooManyRequests("too many writes are waiting for the store", retry_after_s=1)

    def put(self, ref: Ref, intent: Intent, fence: Fence | None = None) -> Pending:
        """Queue a write."""
        there = intent.made or intent.before
        assert there is not None, ref
        key = there.key
        assert key not in self._in_flight, key
        if self._batch_done is None:
            self._batch_done = asyncio.get_running_loop().create_future()
            self._wake.set()
        pending = self._made(ref.kind.kept_as, key, intent, self._batch_done, fence)
        self._in_flight[key] = pending
        self._gathering.append(pending)
        return pending

    def _made(
        self,
        kind: Kind,
        key: str,
        intent: Intent,
        batch_done: asyncio.Future[None],
        fence: Fence | None,
    ) -> Pending:
        return Pending(kind, key, intent, batch_done, fence)

    async def run(self) -> None:
        """Commit batch after batch, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            batch, self._gathering = self._gathering, []
            done, self._batch_done = self._batch_done, None
            assert done is not None
            try:
                await self._commit(batch)
            finally:
                self._end(batch, done)

    def _end(self, batch: list[Pending], done: asyncio.Future[None]) -> None:
        """Whatever became of a batch, it is through."""
        for pending in batch:
            del self._in_flight[pending.key]
            pending.answer()
        if not done.done():
            done.set_result(None)

    async def _commit(self, batch: list[Pending]) -> None:
        writes = [pending.to_store(self.cache) for pending in batch]
        try:
            revisions = await self._store.commit(writes)
        except StoreError as error:
            self._fail(batch, error)
            return
        for pending, revision in zip(batch, revisions, strict=True):
            if revision:
                self._apply(pending, revision)
        self.cache.window.pass_time(self._clock.monotonic(), self.cache.revision)

    def _fail(self, batch: list[Pending], error: StoreError | None) -> None:
        """Nothing came of these writes; without an error, since they were stale."""
        for pending in batch:
            pending.error = error
        if batch and self.on_failed is not None:
            self.on_failed(batch)

    def _apply(self, pending: Pending, revision: int) -> None:
        doc, before, made, _ = pending.intent
        if doc is None or made is None:
            assert before is not None, pending.key
            frame = Frame("DELETED", before.at(revision), before)
        else:
            made.settle(revision, doc)
            frame = Frame("ADDED" if before is None else "MODIFIED", made, before)
        pending.stored = frame.stored
        self.cache.apply(frame)
        if self.on_applied is not None:
            self.on_applied(frame)


def refusal(error: StoreError) -> ApiError:
    """What a writer is told whose batch failed as a whole."""
    if isinstance(error, StoreFull):
        return InsufficientStorage("the store has no room left, nothing was written")
    if isinstance(error, StoreStopped):
        return Unavailable(
            "the store takes no writes since its disk failed, and it is unknown whether this one "
            "was kept: the server's log says more"
        )
    if isinstance(error, StoreTooLarge):
        return TooLarge(f"the store takes no objects that large: {error}")
    if isinstance(error, InDoubt):
        return Timeout(str(error), retry_after_s=1)
    if isinstance(error, (StoreSilent, StoreBusy)):
        return Unavailable(f"nothing was written: {error}", retry_after_s=1)
    return InternalError(f"the store failed, nothing was written: {error}")
