"""How far back histories reach: five minutes of every kind, as far as memory allows."""

from __future__ import annotations

import pytest

from longshore.base.limits import WATCH_HISTORY_MIN, WATCH_HISTORY_S
from longshore.core.objects import kinds
from longshore.core.objects.errors import Expired
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.core.watch.history import History, Window
from longshore.core.watch.stored import Stored


def change(revision: int, size: int = 100) -> Frame:
    """A change that cost its history about so many bytes."""
    before = Stored(kinds.POD, "/core/pods/default/a", b"x" * size, revision - 1)
    after = Stored(kinds.POD, before.key, b"y" * size, revision)
    return Frame("MODIFIED", after, before)


def revisions(history: History, since: int) -> list[int]:
    return [frame.stored.revision for frame in history.since(since)]


class World:
    """Two kinds under one window, and a time."""

    def __init__(self, max_bytes: int = 1 << 30) -> None:
        self.busy, self.quiet = History(0), History(0)
        self.window = Window([self.busy, self.quiet], max_bytes)
        self.now, self.revision = 0.0, 0

    def add(self, history: History, count: int, size: int = 100) -> None:
        for _ in range(count):
            self.revision += 1
            history.add(change(self.revision, size))
        self.window.pass_time(self.now, self.revision)


def test_everything_of_the_last_five_minutes_is_there_however_much_it_is() -> None:
    world = World()
    for _ in range(400):
        world.now += 1
        world.add(world.busy, 100)
    young = int(WATCH_HISTORY_S) * 100
    assert len(world.busy) == young
    assert world.busy.start == world.revision - young == world.window.compacted
    assert revisions(world.busy, world.busy.start)[0] == world.busy.start + 1


def test_a_quiet_kinds_last_changes_are_kept_however_old() -> None:
    world = World()
    world.add(world.quiet, WATCH_HISTORY_MIN + 5)
    last = world.revision
    for _ in range(10):
        world.now += WATCH_HISTORY_S
        world.add(world.busy, 1)
    assert len(world.quiet) == WATCH_HISTORY_MIN
    assert (world.quiet.start, world.quiet.newest) == (5, last)


def test_beyond_its_memory_the_kind_that_takes_most_gives_first() -> None:
    world = World(max_bytes=1_000_000)
    world.add(world.quiet, 100)
    for _ in range(20):
        world.now += 1
        world.add(world.busy, 500, size=600)
        assert world.busy.size + world.quiet.size <= 1_000_000
    assert len(world.quiet) == 100
    assert world.busy.start > 0
    assert revisions(world.busy, world.busy.start)[-1] == world.revision
    assert world.busy.size > 500_000


def test_memory_is_minded_within_a_second_too() -> None:
    world = World(max_bytes=1_000_000)
    for _ in range(100):
        world.add(world.busy, 1_000)
    assert world.busy.size < 5_200 * 500 + 1_000_000


def test_what_is_done_seldom_ages_as_well() -> None:
    world = World()
    for _ in range(5):
        world.add(world.quiet, 1)
        world.now += 0.1
    world.now = WATCH_HISTORY_S - 1
    world.add(world.busy, 1)
    assert world.window.compacted == 0
    world.now += 2
    world.add(world.busy, 1)
    assert world.window.compacted == 5


def test_what_is_let_go_of_is_no_longer_counted() -> None:
    history = History(7)
    for revision in range(8, 20):
        history.add(change(revision))
    history.add(Frame("DELETED", change(20).stored, change(20).before))
    history.forget(20)
    assert (len(history), history.size, history.start, history.newest) == (0, 0, 20, 20)


def test_since_and_back_to_are_one_anothers_reverse() -> None:
    history = History(0)
    for revision in (2, 3, 5, 8):
        history.add(change(revision))
    assert revisions(history, 3) == [5, 8]
    assert revisions(history, 4) == [5, 8]
    assert revisions(history, 8) == []
    assert [frame.stored.revision for frame in history.back_to(2)] == [8, 5, 3]


def test_lists_look_back_no_further_than_the_window_of_all_kinds() -> None:
    cache = Cache(kinds.KINDS)
    for revision in (1, 2):
        cache.apply(
            Frame(
                "ADDED",
                Stored.read(kinds.POD, f"/core/pods/default/{revision}", _POD, revision),
                None,
            )
        )
    at = cache.revision - 1
    assert len(list(cache.as_of(kinds.POD, at, kinds.POD.prefix))) == 1
    cache.window.pass_time(0, cache.revision)
    cache.window.pass_time(WATCH_HISTORY_S, cache.revision)
    with pytest.raises(Expired):
        list(cache.as_of(kinds.POD, at, kinds.POD.prefix))
    assert len(list(cache.as_of(kinds.POD, cache.revision, kinds.POD.prefix))) == 2
    feed = cache.watch(kinds.POD, since=at, prefix="", select=None, term=None)
    assert [frame.stored.revision for frame in feed.take()] == [2]


_POD = b'{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"default"}}'


def test_an_event_is_encoded_once_while_it_is_shared() -> None:
    frame, asked = change(1), []

    def encoder(_: Frame) -> bytes:
        asked.append(1)
        return b"line"

    frame.share()
    assert frame.encoded("json", encoder) is frame.encoded("json", encoder)
    assert len(asked) == 1
    frame.unshare()
    assert frame.encoded("json", encoder) == b"line" and len(asked) == 2
