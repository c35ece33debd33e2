"""Listeners who hear the same share one log: each hears everything once, and nobody pays twice."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.core.objects import kinds
from longshore.core.objects.errors import Expired
from longshore.core.watch.feeds import Audience, CacheFeed
from longshore.core.watch.frames import Frame
from longshore.core.watch.stored import Stored
from longshore.testing.clock import settle


def frame(revision: int) -> Frame:
    return Frame("MODIFIED", Stored(kinds.POD, f"p-{revision}", b"", revision), None)


def revisions(frames: list[Frame]) -> list[int]:
    return [one.stored.revision for one in frames]


def test_who_takes_the_same_shares_the_batch_and_what_is_made_of_it() -> None:
    audience = Audience(None, room=10)
    feeds = [CacheFeed([], audience) for _ in range(3)]
    for revision in (1, 2):
        audience.push(frame(revision))
    made: list[list[int]] = []

    def encode(frames: list[Frame]) -> bytes:
        made.append(revisions(frames))
        return b"encoded"

    batches = [feed.take() for feed in feeds]
    assert [batch.made("json", encode) for batch in batches] == [b"encoded"] * 3
    assert made == [[1, 2]]


def test_a_change_is_selected_once_for_all() -> None:
    looked: list[int] = []

    def select(one: Frame) -> Frame | None:
        looked.append(one.stored.revision)
        return one if one.stored.revision % 2 else None

    audience = Audience(select, room=10)
    feeds = [CacheFeed([], audience) for _ in range(3)]
    for revision in (1, 2, 3):
        audience.push(frame(revision))
    assert looked == [1, 2, 3]
    assert [revisions(feed.take()) for feed in feeds] == [[1, 3]] * 3


def test_what_all_have_taken_is_forgotten() -> None:
    audience = Audience(None, room=10)
    quick, slow = CacheFeed([], audience), CacheFeed([], audience)
    audience.push(frame(1))
    quick.take()
    assert len(audience.held) == 1
    slow.close()
    assert len(audience.held) == 0
    audience.push(frame(2))
    assert revisions(quick.take()) == [2] and len(audience.held) == 0


async def test_only_who_falls_behind_is_dropped() -> None:
    audience = Audience(None, room=4)
    quick, slow = CacheFeed([frame(0)], audience), CacheFeed([frame(0)], audience)
    heard = []
    for revision in range(1, 8):
        audience.push(frame(revision))
        heard += revisions(await quick.next_batch())
    assert heard == list(range(8)) and len(audience.held) <= 4
    with pytest.raises(Expired):
        await slow.next_batch()
    with pytest.raises(Expired):
        slow.take()
    assert len(audience) == 1 and len(audience.held) == 0


async def test_some_are_roused_at_a_time_those_first_who_waited_longest() -> None:
    audience = Audience(None, room=10, pace=lambda waiting: None)
    heard: list[int] = []

    async def listen(number: int) -> None:
        feed = CacheFeed([], audience)
        await feed.next_batch()
        heard.append(number)

    async with asyncio.TaskGroup() as crew:
        for number in range(5):
            crew.create_task(listen(number))
        await settle(3)
        audience.push(frame(1))
        await settle(3)
        assert heard == []
        audience.rouse(2)
        await settle(3)
        assert (heard, audience.waiting) == ([0, 1], 3)
        audience.rouse()
        await settle(3)
        assert (heard, audience.waiting) == ([0, 1, 2, 3, 4], 0)


async def test_who_is_told_need_not_wake_but_for_time_and_for_want_of_room() -> None:
    audience = Audience(None, room=10, pace=lambda waiting: None)
    feed, woken = CacheFeed([], audience), list[list[int]]()
    told, room = list[list[int]](), True

    def tell() -> bool:
        if room:
            told.append(revisions(feed.take()))
        return room

    async def listen() -> None:
        while True:
            woken.append(revisions(await feed.next_batch()))

    feed.teller = tell
    listening = asyncio.ensure_future(listen())
    await settle(3)
    for revision in (1, 2):
        audience.push(frame(revision))
        audience.rouse()
        await settle(3)
    assert (told, woken, audience.waiting) == ([[1], [2]], [], 1)
    feed.nudge()
    await settle(3)
    assert (told, woken) == ([[1], [2]], [[]])
    room = False
    audience.push(frame(3))
    audience.rouse()
    await settle(3)
    assert (told, woken) == ([[1], [2]], [[], [3]])
    listening.cancel()


_DONE = st.lists(st.tuples(st.sampled_from(["push", "take", "join", "leave"]), st.integers(0, 4)))


@given(_DONE)
def test_everyone_hears_all_since_he_came_once_and_in_order(done: list[tuple[str, int]]) -> None:
    audience, revision = Audience(None, room=1000), 0
    feeds: dict[int, CacheFeed] = {}
    owed: dict[int, list[int]] = {}
    for what, who in done:
        if what == "push":
            revision += 1
            audience.push(frame(revision))
            for due in owed.values():
                due.append(revision)
        elif what == "join" and who not in feeds:
            feeds[who], owed[who] = CacheFeed([], audience), []
        elif what == "take" and who in feeds:
            assert revisions(feeds[who].take()) == owed[who]
            owed[who] = []
        elif what == "leave" and who in feeds:
            feeds.pop(who).close()
            del owed[who]
        longest = max(map(len, owed.values()), default=0)
        assert bool(audience.held) == bool(longest) and len(audience.held) >= longest
