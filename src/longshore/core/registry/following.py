"""How a cache keeps up with a store that other servers write to as well.

The store tells of every change once, in the order of revisions; nothing else changes the cache. A
reader who wants what is newest waits until the cache has all that was written before the question:
one question to the store serves all who wait when it is asked (KEP-2340).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

from longshore.base.clock import Clock
from longshore.core.objects.kinds import Kinds
from longshore.core.registry.commits import Pending, refusal
from longshore.core.registry.loading import Loaded, Prefixes
from longshore.core.registry.shared import NO_ANSWER, SharedPending
from longshore.core.store.protocol import (
    Change,
    Changes,
    Compacted,
    SharedStore,
    StoreError,
    StoreSilent,
)
from longshore.core.store.sealing import Unreadable
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.core.watch.stored import Stored

log = logging.getLogger("longshore.registry")

# Changes that are taken in at once, and how often the window of history is moved.
_SLICE = 256
_WINDOW_S = 1.0
_AGAIN_S = 1.0


class Following:
    """Feeds the cache that it is given with what the store tells."""

    def __init__(self, store: SharedStore, clock: Clock, kinds: Kinds) -> None:
        self.cache = Cache(kinds)
        self.on_applied: Callable[[Frame], object] = lambda frame: None
        self.on_replaced: Callable[[], object] = lambda: None
        self.in_flight: Callable[[str], Pending | None] = lambda key: None
        self._store, self._clock, self._kinds = store, clock, kinds
        self._prefixes = Prefixes(kinds)
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = count()
        self._asked: asyncio.Future[None] | None = None
        self._wake = asyncio.Event()
        self._window_at = 0.0
        self.silent = False
        self._deaf = False  # something that was told cannot be read

    @property
    def hears(self) -> bool:
        """Whether the store answers, and what it tells can be read."""
        return not (self.silent or self._deaf)

    async def run(self) -> None:
        """Follow the store, and answer those who confirm, until cancelled."""
        async with asyncio.TaskGroup() as crew:
            crew.create_task(self._follow(), name="changes of the store")
            crew.create_task(self._answer(), name="newest revision")

    async def reach(self, revision: int) -> None:
        """Return once the cache has all up to a revision."""
        if revision > self.cache.revision:
            reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._when(revision, reached)
            await reached

    async def confirm(self) -> None:
        """Return once the cache has all that was written before this call. Raises Unavailable if
        the store does not answer."""
        if self._deaf:
            raise refusal(StoreSilent("this server lacks a key of what another one encrypts"))
        if self.silent:
            raise refusal(StoreSilent(NO_ANSWER))
        if self._asked is None:
            self._asked = asyncio.get_running_loop().create_future()
            self._wake.set()
        await asyncio.shield(self._asked)

    # --- the newest revision ---

    async def _answer(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            asked, self._asked = self._asked, None
            assert asked is not None
            try:
                self._when(await self._store.newest(), asked)
            except StoreSilent as error:
                self._refuse(asked, error)
                await self._until_it_answers(error)
            except StoreError as error:
                self._refuse(asked, error)

    async def _until_it_answers(self, error: StoreSilent) -> None:
        """Whoever asks meanwhile is told at once."""
        self.silent = True
        if self._asked is not None:
            self._refuse(self._asked, error)
            self._asked = None
            self._wake.clear()
        while self.silent:
            try:
                await self._store.newest()
                self.silent = False
            except StoreError:
                await self._clock.sleep(_AGAIN_S)

    def _refuse(self, asked: asyncio.Future[None], error: StoreError) -> None:
        asked.set_exception(refusal(error))
        asked.exception()  # whoever asked may be gone

    def _when(self, revision: int, reached: asyncio.Future[None]) -> None:
        heappush(self._waiting, (revision, next(self._order), reached))
        self._tell()

    def _tell(self) -> None:
        waiting, revision = self._waiting, self.cache.revision
        while waiting and waiting[0][0] <= revision:
            _, _, reached = heappop(waiting)
            if not reached.done():
                reached.set_result(None)

    # --- changes ---

    async def _follow(self) -> None:
        while True:
            try:
                async for told in self._store.changes(self.cache.revision):
                    await self._take(told)
            except Unreadable as error:
                log.error("hearing nothing more until this can be read: %s", error)
                self._deaf = True
                await self._clock.sleep(_AGAIN_S)
            except Compacted as error:
                log.warning("reading everything anew: %s", error)
                await self._reread()

    async def _take(self, told: Changes) -> None:
        self._deaf = False
        for number, change in enumerate(told.made, 1):
            self._apply(change)
            if number % _SLICE == 0:
                await self._clock.sleep(0)
        self.cache.progress(told.revision)
        self._tell()
        now = self._clock.monotonic()
        if now >= self._window_at:
            self._window_at = now + _WINDOW_S
            self.cache.window.pass_time(now, self.cache.revision)

    def _apply(self, change: Change) -> None:
        frame = self._frame(change)
        if frame is None:
            return
        pending = self.in_flight(change.key)
        if pending is not None:
            assert isinstance(pending, SharedPending)
            pending.hear(frame, change.value)
        self.cache.apply(frame)
        self.on_applied(frame)

    def _frame(self, change: Change) -> Frame | None:
        """What a change is to watchers; None if there is nothing to tell: its kind is not served."""
        kind = self._prefixes.kind(change.key)
        if kind is None:
            return None
        before = self.cache.shelf(kind).get(change.key)
        if change.value is None:
            return None if before is None else Frame("DELETED", before.at(change.revision), before)
        key = change.key if before is None else before.key  # one string for all who keep it
        stored = Stored.read(kind, key, change.value, change.revision)
        return Frame("ADDED" if before is None else "MODIFIED", stored, before)

    async def _reread(self) -> None:
        """The store has forgotten changes that were not heard of: watchers list again."""
        loaded = Loaded(self._kinds)
        try:
            revision = await self._store.read(loaded.take)
        except StoreSilent:
            return await self._clock.sleep(_AGAIN_S)
        self.cache.replace(loaded.found, revision)
        self.on_replaced()
        self._tell()
