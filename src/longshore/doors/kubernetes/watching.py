"""Watches on the wire: batches of shared lines, bookmarks, and an end when the time is over.

The cost of a watcher is the record of TLS and the system call that write to it. So what came together
leaves together, many watchers are told in rounds (they all still see every change), and one task tells
them all: a watcher's own is woken only where time, or a connection without room, is its matter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import orjson

from longshore.base.clock import Clock
from longshore.core.objects.errors import Expired
from longshore.core.objects.kinds import Kind
from longshore.core.watch.feeds import Audience, Batch, CacheFeed
from longshore.doors.kubernetes.rendering import View
from longshore.doors.kubernetes.translate import failure

# Upstream sends bookmarks about once a minute.
BOOKMARK_EVERY_S = 60.0
# From how many watches on a round gathers news for a while: one and a half times as long as telling the
# round before took, so that telling takes two fifths of the time; within these bounds, in seconds.
ROUNDS_FROM = 100
GATHER_PER_TOLD = 1.5
ROUND_MIN_S, ROUND_MAX_S = 0.01, 0.05
ROUSED_AT_ONCE = 100
# How exact bookmarks and timeouts are.
_TICK_S = 1.0


class Watches:
    """All open watches of a door, and the tasks that mind the time for them."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.open: set[Watch] = set()
        # How many events of each kind were told; a cell each, so that counting is no look-up.
        self.events: dict[Kind, list[int]] = {}
        self._told: dict[Audience, None] = {}
        self._news = asyncio.Event()
        self._gather_s = ROUND_MIN_S

    async def run(self) -> None:
        """Wake watches whose time has come, until cancelled."""
        async with asyncio.TaskGroup() as crew:
            crew.create_task(self._mind_deadlines(), name="watch deadlines")
            crew.create_task(self._tell_in_rounds(), name="watch rounds")

    async def _mind_deadlines(self) -> None:
        while True:
            await self.clock.sleep(_TICK_S)
            now = self.clock.monotonic()
            for watch in [w for w in self.open if w.due <= now]:
                watch.feed.nudge()

    def pace(self, audience: Audience) -> None:
        """An audience has news: it hears of them with the next round."""
        self._told[audience] = None
        self._news.set()

    async def _tell_in_rounds(self) -> None:
        while True:
            await self._news.wait()
            if len(self.open) >= ROUNDS_FROM:
                await self.clock.sleep(self._gather_s)
            self._news.clear()
            took = await self._tell()
            self._gather_s = min(max(took * GATHER_PER_TOLD, ROUND_MIN_S), ROUND_MAX_S)

    async def _tell(self) -> float:
        """Some in a turn, so that other requests need not wait for a whole round; how many seconds
        it took, without what others did between."""
        told, self._told = self._told, {}
        room, took = ROUSED_AT_ONCE, 0.0
        for audience in told:
            left = audience.waiting
            while left > 0:
                begun = self.clock.monotonic()
                audience.rouse(min(left, room))
                took += self.clock.monotonic() - begun
                left, room = left - room, max(room - left, 0)
                if not room:
                    await self.clock.sleep(0)
                    room = ROUSED_AT_ONCE
        return took


class Watch:
    """One watch: an async iterator of pieces of the stream. aclose() frees the feed.

    initial: what was there when it began is followed by a bookmark that says so.
    revision tells how far the cache has come: all of that has been put into the feed.
    """

    def __init__(
        self,
        watches: Watches,
        kind: Kind,
        feed: CacheFeed,
        view: View,
        revision: Callable[[], int],
    ) -> None:
        self.feed = feed
        self.bookmarks = False
        self.initial = False
        self._watches = watches
        self._kind = kind
        self._view = view
        self._revision = revision
        self._ends_at = self._bookmark_at = float("inf")
        self._over = self._begun = self._full = False
        self._write: Callable[[bytes], bool] | None = None
        self._events = watches.events.setdefault(kind, [0])
        watches.open.add(self)

    def begin(self, timeout_s: float, *, bookmarks: bool, initial: bool) -> Watch:
        now = self._watches.clock.monotonic()
        self._ends_at = now + timeout_s
        # Whoever does not allow bookmarks gets none, not even the one behind the initial events
        # (apiserver/pkg/storage/cacher/cacher.go getBookmarkAfterResourceVersionLockedFunc).
        self.bookmarks, self.initial = bookmarks, bookmarks and initial
        if bookmarks:
            self._bookmark_at = self._next_mark(now)
        return self

    def _next_mark(self, now: float) -> float:
        """When the next bookmark is due: the last one shortly before the end, so that a client
        resumes from there."""
        last = self._ends_at - 2 * _TICK_S
        return min(now + BOOKMARK_EVERY_S, last) if now < last else float("inf")

    @property
    def due(self) -> float:
        return min(self._ends_at, self._bookmark_at)

    def __aiter__(self) -> Watch:
        return self

    async def __anext__(self) -> bytes:
        while not self._over:
            try:
                piece = await self._piece()
            except Expired as error:
                self._over = True
                return orjson.dumps({"type": "ERROR", "object": failure(error)}) + b"\n"
            if piece:
                return piece
        raise StopAsyncIteration

    async def _piece(self) -> bytes:
        if self.initial:
            self.initial = False
            return self._lines() + self._bookmark(initial_end=True)
        lines = self._joined(await self.feed.next_batch())
        now = self._watches.clock.monotonic()
        if now >= self._bookmark_at:
            lines += self._lines() + self._bookmark(initial_end=False)
            self._bookmark_at = self._next_mark(now)
        self._over = now >= self._ends_at
        return lines

    def pushed(self, write: Callable[[bytes], bool]) -> None:
        """From now on, news that come while the next piece is waited for are written at once. write
        says whether there is room for more: if not, the news after are a piece again."""
        self._write = write
        self.feed.teller = self._tell

    def _tell(self) -> bool:
        assert self._write is not None
        if self._full:
            self._full = False
            return False
        try:
            batch = self.feed.take()
        except Expired:
            return False  # the feed is closed, and who waits for the next piece hears of it
        if batch:
            self._full = not self._write(self._joined(batch))
        return True

    def _lines(self) -> bytes:
        return self._joined(self.feed.take())

    def _joined(self, batch: Batch) -> bytes:
        self._events[0] += len(batch)
        if not self._begun and batch:
            self._begun = True
            return self._view.first_lines(batch)
        return self._view.lines(batch)

    def _bookmark(self, *, initial_end: bool) -> bytes:
        self._events[0] += 1
        return self._view.bookmark(self._kind, self._revision(), initial_end=initial_end)

    def end(self) -> None:
        """Let it be over, once what is there has been told."""
        self._ends_at = self._watches.clock.monotonic()
        if self.bookmarks:
            self._bookmark_at = self._ends_at
        self.feed.nudge()

    async def aclose(self) -> None:
        self._over = True
        self._watches.open.discard(self)
        self.feed.close()
