"""The commit queue: all writes that wait are one store transaction; the next batch gathers meanwhile.

Nothing is acknowledged before it is on disk, and nothing is visible before it is acknowledged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from longshore.base.clock import Clock
from longshore.base.limits import COMMIT_QUEUE_MAX
from longshore.core.objects.errors import (
    ApiError,
    InsufficientStorage,
    InternalError,
    TooManyRequests,
    Unavailable,
)
from longshore.core.objects.kinds import Doc, Kind, Ref
from longshore.core.registry.fencing import Fence
from longshore.core.store.protocol import Store, StoreError, StoreFull, StoreStopped, Write
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.core.watch.stored import Stored, encode


class Pending:
    """One write on its way. After its batch is through, stored is what is now there, or error says
    why not; neither means that another server was faster: plan again."""

    __slots__ = ("before", "doc", "done", "error", "fence", "key", "kind", "stored")

    def __init__(
        self,
        kind: Kind,
        key: str,
        doc: Doc | None,
        before: Stored | None,
        done: asyncio.Future[None],
        fence: Fence | None,
    ) -> None:
        self.kind = kind
        self.key = key
        self.doc = doc
        self.before = before
        self.done = done
        self.fence = fence
        self.stored: Stored | None = None
        self.error: StoreError | None = None

    async def wait(self) -> Stored | None:
        """What was stored; None if the plan is stale. Raises ApiError if the store failed."""
        await asyncio.shield(self.done)
        if self.error is not None:
            raise _refusal(self.error)
        return self.stored

    async def settled(self) -> None:
        """Return when the write is through, well or not."""
        await asyncio.shield(self.done)


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

    def put(
        self, ref: Ref, doc: Doc | None, before: Stored | None, fence: Fence | None = None
    ) -> Pending:
        """Queue a write: doc None deletes. before is the state the plan was made on."""
        key = ref.key if before is None else before.key  # one string for all who keep it
        assert key not in self._in_flight, key
        if self._batch_done is None:
            self._batch_done = asyncio.get_running_loop().create_future()
            self._wake.set()
        pending = Pending(ref.kind.kept_as, key, doc, before, self._batch_done, fence)
        self._in_flight[key] = pending
        self._gathering.append(pending)
        return pending

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
                for pending in batch:
                    del self._in_flight[pending.key]
                if not done.done():
                    done.set_result(None)

    async def _commit(self, batch: list[Pending]) -> None:
        writes = [
            Write(
                p.key,
                None if p.doc is None else encode(p.doc),
                p.before.revision if p.before else 0,
                None if p.fence is None else p.fence.guard(self.cache),
            )
            for p in batch
        ]
        try:
            revisions = await self._store.commit(writes)
        except StoreError as error:
            for pending in batch:
                pending.error = error
            if self.on_failed is not None:
                self.on_failed(batch)
            return
        for pending, write, revision in zip(batch, writes, revisions, strict=True):
            if revision:
                self._apply(pending, write, revision)
        self.cache.window.pass_time(self._clock.monotonic(), self.cache.revision)

    def _apply(self, pending: Pending, write: Write, revision: int) -> None:
        before = pending.before
        if pending.doc is None or write.value is None:
            assert before is not None, pending.key
            frame = Frame("DELETED", before.at(revision), before)
        else:
            stored = Stored.read(pending.kind, pending.key, write.value, revision)
            pending.doc["metadata"]["resourceVersion"] = str(revision)
            stored.keep(pending.doc)
            frame = Frame("ADDED" if before is None else "MODIFIED", stored, before)
        pending.stored = frame.stored
        self.cache.apply(frame)
        if self.on_applied is not None:
            self.on_applied(frame)


def _refusal(error: StoreError) -> ApiError:
    """What a writer is told whose batch failed as a whole."""
    if isinstance(error, StoreFull):
        return InsufficientStorage("the store has no room left, nothing was written")
    if isinstance(error, StoreStopped):
        return Unavailable(
            "the store takes no writes since its disk failed, and it is unknown whether this one "
            "was kept: the server's log says more"
        )
    return InternalError(f"the store failed, nothing was written: {error}")
