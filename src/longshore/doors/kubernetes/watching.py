"""Watches on the wire: batches of shared lines, bookmarks, and an end when the time is over.

The cost of a watcher is the system call that writes to it. So what came together leaves together,
and when there are many watchers each waits a moment for more (they all still see every change).
"""

from __future__ import annotations

from collections.abc import Callable

import orjson

from longshore.base.clock import Clock
from longshore.core.objects.errors import Expired
from longshore.core.objects.kinds import Kind
from longshore.core.watch.feeds import CacheFeed
from longshore.core.watch.frames import Frame
from longshore.doors.kubernetes.rendering import View
from longshore.doors.kubernetes.translate import failure

# Upstream sends bookmarks about once a minute.
BOOKMARK_EVERY_S = 60.0
# From how many watches on a batch waits for company, and how long.
COALESCE_FROM = 100
COALESCE_S = 0.01
# How exact bookmarks and timeouts are.
_TICK_S = 1.0


class Watches:
    """All open watches of a door, and the one task that minds the time for them."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.open: set[Watch] = set()

    async def run(self) -> None:
        """Wake watches whose time has come, until cancelled."""
        while True:
            await self.clock.sleep(_TICK_S)
            now = self.clock.monotonic()
            for watch in [w for w in self.open if w.due <= now]:
                watch.feed.nudge()

    async def pause(self) -> bool:
        """Wait for company if there are many watches; whether it waited."""
        if len(self.open) < COALESCE_FROM:
            return False
        await self.clock.sleep(COALESCE_S)
        return True


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
        self._over = self._begun = False
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
        if lines and await self._watches.pause():
            lines += self._lines()
        now = self._watches.clock.monotonic()
        if now >= self._bookmark_at:
            lines += self._lines() + self._bookmark(initial_end=False)
            self._bookmark_at = self._next_mark(now)
        self._over = now >= self._ends_at
        return lines

    def _lines(self) -> bytes:
        return self._joined(self.feed.take())

    def _joined(self, frames: list[Frame]) -> bytes:
        if not self._begun and frames:
            self._begun = True
            first, *rest = frames
            return self._view.first_line(first) + b"".join(map(self._view.line, rest))
        return b"".join(map(self._view.line, frames))

    def _bookmark(self, *, initial_end: bool) -> bytes:
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
