"""The keyed queue: one place per key, one worker per key, nothing lost."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from longshore.machinery.loop.metrics import WorkQueues
from longshore.machinery.loop.queue import KeyedQueue
from longshore.testing.clock import VirtualClock, settle


def made() -> KeyedQueue[str]:
    return KeyedQueue(VirtualClock().monotonic, WorkQueues().meter("test"))


async def test_a_key_added_twice_is_taken_once() -> None:
    queue: KeyedQueue[str] = made()
    queue.add("a")
    queue.add("a")
    queue.add("b")
    assert [await queue.take(), await queue.take()] == ["a", "b"]
    assert len(queue) == 0


async def test_a_key_added_while_worked_on_comes_again_afterwards() -> None:
    queue: KeyedQueue[str] = made()
    queue.add("a")
    assert await queue.take() == "a"
    queue.add("a")
    assert len(queue) == 0, "two workers must never hold one key"
    queue.done("a")
    assert await queue.take() == "a"


async def test_workers_that_wait_are_woken_and_told_of_the_end() -> None:
    queue: KeyedQueue[str] = made()
    async with asyncio.TaskGroup() as crew:
        first, second = crew.create_task(queue.take()), crew.create_task(queue.take())
        await settle(3)
        queue.add("a")
        await settle(3)
        assert first.result() == "a"
        assert not second.done()
        queue.close()
    assert second.result() is None


async def test_settled_waits_for_those_who_work() -> None:
    queue: KeyedQueue[str] = made()
    queue.add("a")
    async with asyncio.TaskGroup() as crew:
        settled = crew.create_task(queue.settled())
        await queue.take()
        await settle(3)
        assert not settled.done()
        queue.done("a")


@given(st.lists(st.tuples(st.sampled_from(["add", "take", "done"]), st.sampled_from("abc"))))
def test_every_added_key_is_looked_at_after_it_was_added(steps: list[tuple[str, str]]) -> None:
    async def play() -> None:
        queue: KeyedQueue[str] = made()
        owed: set[str] = set()
        held: list[str] = []
        for what, key in steps:
            if what == "add":
                queue.add(key)
                owed.add(key)
            elif what == "take" and len(queue):
                taken = await queue.take()
                assert taken is not None
                assert taken not in held
                held.append(taken)
                owed.discard(taken)
            elif what == "done" and held:
                queue.done(held.pop(0))
        for key in held:
            queue.done(key)
        while len(queue):
            last = await queue.take()
            assert last is not None
            owed.discard(last)
            queue.done(last)
        assert not owed

    asyncio.run(play())
