"""Between the cache and those who listen: bounded logs of frames, one for all who hear the same.

A change costs a look and a place in a log once, however many listeners there are; each has a
position in the log, and what all have taken is forgotten.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import islice
from typing import NamedTuple, TypeAlias

from longshore.core.objects.errors import Expired
from longshore.core.watch.frames import Frame

Select = Callable[[Frame], Frame | None]
"""What a watcher sees of a change: the frame itself, another (an object that left its selector is
DELETED to it), or None."""


class Batch(list[Frame]):
    """Frames in order. Those who take the same ones share the batch, and what is made of it."""

    __slots__ = ("_made",)

    def __init__(self, frames: Iterable[Frame] = ()) -> None:
        super().__init__(frames)
        self._made: dict[str, bytes] | None = None

    def made(self, form: str, maker: Callable[[Batch], bytes]) -> bytes:
        """The batch in some form, made by the first that asks."""
        if self._made is None:
            self._made = {}
        found = self._made.get(form)
        if found is None:
            found = self._made[form] = maker(self)
        return found


class Audience:
    """Listeners who hear the same, and what not all of them have taken yet.

    room is how many frames a listener may fall behind. Whoever waits is roused by a change at once;
    or with a pace, which hears that there is news, when that calls rouse().
    """

    def __init__(self, select: Select | None, room: int, pace: Pace | None = None) -> None:
        self.on_empty: Callable[[Audience], None] | None = None
        self._select = select
        self._room = room
        self._pace = pace
        self._members: set[CacheFeed] = set()
        self._waiting: dict[CacheFeed, None] = {}  # in the order in which they came
        self._log: list[Frame] = []
        self._start = 0  # the position of the log's first frame
        self._behind = 0  # how many members have not taken all
        self._shared: tuple[int, int, Batch] | None = None

    def __len__(self) -> int:
        return len(self._members)

    @property
    def held(self) -> Sequence[Frame]:
        """What somebody has not taken yet."""
        return self._log

    @property
    def end(self) -> int:
        """The position behind the newest frame."""
        return self._start + len(self._log)

    def push(self, frame: Frame) -> None:
        """Called by the cache for every change, in order. Never waits."""
        seen = frame if self._select is None else self._select(frame)
        if seen is None or not self._members:
            return
        if seen is not frame and len(self._members) > 1:
            seen.share()
        self._log.append(seen)
        self._behind = len(self._members)
        if len(self._log) > self._room:
            self._drop_oldest()
        if self._waiting:
            (self._pace or Audience.rouse)(self)

    @property
    def waiting(self) -> int:
        """How many wait for a change, or to be roused."""
        return len(self._waiting)

    def rouse(self, most: int = sys.maxsize) -> None:
        """Tell or wake those who have waited longest. Who is told waits again, behind the others."""
        if len(self._waiting) <= most:
            roused, self._waiting = self._waiting, {}
        else:
            roused = dict.fromkeys(islice(self._waiting, most))
            for feed in roused:
                del self._waiting[feed]
        for feed in roused:
            feed.rouse()

    def _drop_oldest(self) -> None:
        """Whoever has not taken these has fallen behind. Several at a time, as a list gives up its
        head at the cost of its length."""
        count = 1 + self._room // 16
        del self._log[:count]
        self._start += count

    # What feeds call.

    def join(self, feed: CacheFeed) -> int:
        """The position from which the feed hears."""
        self._members.add(feed)
        return self.end

    def wait(self, feed: CacheFeed) -> None:
        self._waiting[feed] = None

    def take(self, position: int) -> Batch | None:
        """All from a position on; None if the log does not go back to it any more."""
        if position < self._start:
            return None
        end, shared = self.end, self._shared
        if shared is not None and shared[0] == position and shared[1] == end:
            batch = shared[2]
        else:
            batch = Batch(self._log[position - self._start :])
            self._shared = (position, end, batch)
        if position < end:
            self._caught_up()
        return batch

    def leave(self, feed: CacheFeed, position: int) -> None:
        if feed not in self._members:
            return
        self._members.remove(feed)
        self._waiting.pop(feed, None)
        if position < self.end:
            self._caught_up()
        if not self._members and self.on_empty is not None:
            self.on_empty(self)

    def expire(self) -> None:
        """Tell all members to list again."""
        for feed in tuple(self._members):
            feed.expire()

    def _caught_up(self) -> None:
        self._behind -= 1
        if self._behind == 0:
            self._start, self._log, self._shared = self.end, [], None


Pace: TypeAlias = Callable[[Audience], object]


class Company(NamedTuple):
    """With whom one listens. All that is equal in same hears the same; None is nobody else."""

    same: Hashable = None
    pace: Pace | None = None


ALONE = Company()


class CacheFeed:
    """One listener: initial comes first, then what its audience hears from now on. Fallen behind, it
    is dropped, and lists again. The initial frames do not count: what is bounded is how far a
    listener may fall behind.

    teller, if there is one, is called in place of waking whoever waits in next_batch: it takes what
    has come and says whether it could, in the same turn of the loop. A task is 5 us, a call 0.3.
    """

    def __init__(self, initial: list[Frame], audience: Audience) -> None:
        self.teller: Callable[[], bool] | None = None
        self._initial: list[Frame] | None = initial or None
        self._audience = audience
        self._position = audience.join(self)
        self._wake: asyncio.Future[None] | None = None
        self._closed = False
        self._overrun = False
        self._nudged = False

    async def next_batch(self) -> Batch:
        """All that has come since the last call; waits for the first. Never empty, but after a nudge.

        Raises Expired once the feed was dropped for falling behind, or is closed.
        """
        while not self._initial and (self._closed or self._position == self._audience.end):
            if self._closed:
                raise _dropped()
            if self._nudged:
                self._nudged = False
                return Batch()
            self._wake = asyncio.get_running_loop().create_future()
            self._audience.wait(self)
            await self._wake
        return self.take()

    def take(self) -> Batch:
        """All that is there now, without waiting. Raises Expired if the feed was dropped for falling
        behind: what is there is not all any more."""
        if self._closed:
            if self._overrun:
                raise _dropped()
            return Batch()
        batch = self._audience.take(self._position)
        if batch is None:
            self._overrun = True
            self.close()
            raise _dropped()
        self._position = self._audience.end
        if self._initial:
            batch, self._initial = Batch([*self._initial, *batch]), None
        return batch

    def nudge(self) -> None:
        """Let whoever waits for changes look at the time: next_batch returns, if need be empty."""
        self._nudged = True
        self._wake_up()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._initial = None
            self._audience.leave(self, self._position)
            self._wake_up()

    def expire(self) -> None:
        """There is no going on from here: whoever listens has to list again."""
        self._overrun = True
        self.close()

    def rouse(self) -> None:
        """There is news."""
        if self.teller is not None and self.teller():
            self._audience.wait(self)
        else:
            self._wake_up()

    def _wake_up(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)


def _dropped() -> Expired:
    return Expired("the watch was dropped: list again, then watch from there")


class Hub:
    """Those who listen to one kind. Listeners to one index term hear of nothing else, so that a
    pod's change costs one node's agent a look, not every node's."""

    def __init__(self) -> None:
        self._all: dict[Audience, None] = {}
        self._by_term: dict[tuple[str, str], dict[Audience, None]] = {}
        self._known: dict[Hashable, Audience] = {}

    def audience(
        self, same: Hashable, term: tuple[str, str] | None, make: Callable[[], Audience]
    ) -> Audience:
        """The one of all who hear the same (Company.same); made if it is not there."""
        found = self._known.get(same) if same is not None else None
        if found is None:
            found = make()
            self.listen(found, term)
            found.on_empty = lambda gone: self._forget(gone, same, term)
            if same is not None:
                self._known[same] = found
        return found

    def listen(self, audience: Audience, term: tuple[str, str] | None) -> None:
        """Let an audience hear of every change, or of those under an index term."""
        if term is None:
            self._all[audience] = None
        else:
            self._by_term.setdefault(term, {})[audience] = None

    def forget(self, audience: Audience) -> None:
        self._all.pop(audience, None)

    def expire(self) -> None:
        """Tell all who listen to list again."""
        for audience in [*self._all, *(one for some in self._by_term.values() for one in some)]:
            audience.expire()

    def publish(self, frame: Frame) -> None:
        for audience in tuple(self._all):
            audience.push(frame)
        if self._by_term:
            for audience in self._concerned(frame):
                audience.push(frame)

    def _concerned(self, frame: Frame) -> dict[Audience, None]:
        terms = dict.fromkeys((("key", frame.stored.key), *frame.stored.terms))
        if frame.before is not None:
            terms.update(dict.fromkeys(frame.before.terms))
        found: dict[Audience, None] = {}
        for term in terms:
            found.update(self._by_term.get(term, _NOBODY))
        return found

    def _forget(self, audience: Audience, same: Hashable, term: tuple[str, str] | None) -> None:
        if same is not None:
            self._known.pop(same, None)
        if term is None:
            self.forget(audience)
            return
        listeners = self._by_term.get(term, {})
        listeners.pop(audience, None)
        if not listeners:
            self._by_term.pop(term, None)

    def __len__(self) -> int:
        audiences = [*self._all, *(one for some in self._by_term.values() for one in some)]
        return sum(len(audience) for audience in audiences)


_NOBODY: dict[Audience, None] = {}
