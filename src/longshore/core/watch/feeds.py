"""Bounded queues of frames between the cache and those who listen."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from longshore.core.objects.errors import Expired
from longshore.core.watch.frames import Frame

Select = Callable[[Frame], Frame | None]
"""What a watcher sees of a change: the frame itself, another (an object that left its selector is
DELETED to it), or None."""


class CacheFeed:
    """What one listener has not yet taken. Full: it is dropped, and lists again."""

    def __init__(self, initial: list[Frame], select: Select | None, room: int) -> None:
        self._waiting: deque[Frame] = deque(initial)
        self._select = select
        # The snapshot does not count: what is bounded is how far a listener may fall behind.
        self._room = len(initial) + room
        self._wake: asyncio.Future[None] | None = None
        self._closed = False
        self._overrun = False
        self._nudged = False
        self.on_close: Callable[[CacheFeed], None] | None = None

    def push(self, frame: Frame) -> None:
        """Called by the cache for every change, in order. Never waits."""
        seen = frame if self._select is None else self._select(frame)
        if seen is None:
            return
        if len(self._waiting) >= self._room:
            self._overrun = True
            self.close()
            return
        self._waiting.append(seen)
        self._rouse()

    async def next_batch(self) -> list[Frame]:
        """All that has come since the last call; waits for the first. Never an empty list, but
        after a nudge.

        Raises Expired once the feed was dropped for falling behind, or is closed.
        """
        while not self._waiting or self._overrun:
            if self._closed:
                raise _dropped()
            if self._nudged:
                self._nudged = False
                return []
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake
        return self.take()

    def take(self) -> list[Frame]:
        """All that is there now, without waiting. Raises Expired if the feed was dropped for falling
        behind: what is there is not all any more."""
        if self._overrun:
            raise _dropped()
        batch = list(self._waiting)
        self._waiting.clear()
        return batch

    def nudge(self) -> None:
        """Let whoever waits for changes look at the time: next_batch returns, if need be empty."""
        self._nudged = True
        self._rouse()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            if self.on_close is not None:
                self.on_close(self)
            self._rouse()

    def _rouse(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)


def _dropped() -> Expired:
    return Expired("the watch was dropped: list again, then watch from there")


class Hub:
    """Those who listen to one kind. Listeners to one index term hear of nothing else, so that a
    pod's change costs one node's agent a look, not every node's."""

    def __init__(self) -> None:
        self._all: set[CacheFeed] = set()
        self._by_term: dict[tuple[str, str], set[CacheFeed]] = {}

    def listen(self, feed: CacheFeed, term: tuple[str, str] | None) -> None:
        if term is None:
            self._all.add(feed)
            feed.on_close = self.forget
            return
        self._by_term.setdefault(term, set()).add(feed)
        feed.on_close = lambda gone: self._forget(term, gone)

    def forget(self, feed: CacheFeed) -> None:
        self._all.discard(feed)

    def publish(self, frame: Frame) -> None:
        for feed in tuple(self._all):
            feed.push(frame)
        if self._by_term:
            for feed in self._concerned(frame):
                feed.push(frame)

    def _concerned(self, frame: Frame) -> set[CacheFeed]:
        terms = set(frame.stored.terms)
        if frame.before is not None:
            terms.update(frame.before.terms)
        found: set[CacheFeed] = set()
        for term in terms:
            found |= self._by_term.get(term, _NOBODY)
        return found

    def _forget(self, term: tuple[str, str], feed: CacheFeed) -> None:
        listeners = self._by_term.get(term, set())
        listeners.discard(feed)
        if not listeners:
            self._by_term.pop(term, None)

    def __len__(self) -> int:
        return len(self._all) + sum(len(feeds) for feeds in self._by_term.values())


_NOBODY: frozenset[CacheFeed] = frozenset()
