"""The four answers, and that one object's bug does not stop the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import pytest

from longshore.base.chance import Chance
from longshore.core.objects import kinds
from longshore.core.objects.errors import ApiError, Conflict, TooManyRequests
from longshore.core.objects.kinds import KINDS, Doc, Kind
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.core.watch.stored import Stored
from longshore.machinery.loop.alarms import Alarms
from longshore.machinery.loop.answers import DONE, Answer, Hopeless, WakeAfter, sooner
from longshore.machinery.loop.backoff import Pace
from longshore.machinery.loop.loop import Loop
from longshore.testing.clock import VirtualClock, settle

STEADY = Pace(first_s=1.0, most_s=8.0, jitter=0.0)


class Scripted:
    """Answers each key with what its script says next, then with Done."""

    name = "scripted"
    watches: tuple[Kind, ...] = (kinds.NODE,)

    def __init__(self, clock: VirtualClock, **scripts: list[Answer | Exception]) -> None:
        self._clock = clock
        self._scripts = scripts
        self.seen: list[tuple[str, float]] = []

    def keys(self, event: Frame) -> Iterable[str]:
        return (event.stored.name,)

    async def reconcile(self, key: str) -> Answer:
        self.seen.append((key, self._clock.monotonic()))
        script = self._scripts.get(key)
        answer = script.pop(0) if script else DONE
        if isinstance(answer, Exception):
            raise answer
        return answer


@asynccontextmanager
async def running(
    reconciler: Scripted, clock: VirtualClock, cache: Cache
) -> AsyncIterator[Loop[str]]:
    loop = Loop(reconciler, cache, clock, Chance.seeded(1), workers=2, pace=STEADY)
    async with asyncio.TaskGroup() as crew:
        crew.create_task(loop.run())
        yield loop
        loop.stop()


def add_node(cache: Cache, name: str) -> None:
    doc: Doc = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}
    revision = cache.revision + 1
    stored = Stored.of(kinds.NODE, kinds.NODE.key_of(doc), doc, revision)
    cache.apply(Frame("ADDED", stored, None))


async def test_every_change_is_heard_before_and_after_the_start() -> None:
    clock, cache = VirtualClock(), Cache(KINDS)
    add_node(cache, "early")
    reconciler = Scripted(clock)
    async with running(reconciler, clock, cache) as loop:
        await settle()
        add_node(cache, "late")
        await settle()
        await loop.queue.settled()
    assert [key for key, _ in reconciler.seen] == ["early", "late"]


async def test_wake_after_comes_back_when_it_said() -> None:
    clock, cache = VirtualClock(), Cache(KINDS)
    reconciler = Scripted(clock, a=[WakeAfter(30.0)])
    async with running(reconciler, clock, cache) as loop:
        loop.queue.add("a")
        await clock.advance(29.0)
        assert len(reconciler.seen) == 1
        await clock.advance(1.0)
        assert reconciler.seen == [("a", 0.0), ("a", 30.0)]


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(lambda: Conflict("somebody was faster"), id="conflict"),
        pytest.param(lambda: ZeroDivisionError("our own bug"), id="bug"),
    ],
)
async def test_an_error_backs_off_and_doubles(failure: Callable[[], Exception]) -> None:
    clock, cache = VirtualClock(), Cache(KINDS)
    reconciler = Scripted(clock, a=[failure() for _ in range(5)])
    async with running(reconciler, clock, cache) as loop:
        loop.queue.add("a")
        await clock.advance(60.0)
    assert [at for _, at in reconciler.seen] == [0.0, 1.0, 3.0, 7.0, 15.0, 23.0]


async def test_a_success_starts_the_back_off_anew() -> None:
    clock, cache = VirtualClock(), Cache(KINDS)
    error: ApiError = Conflict("no")
    reconciler = Scripted(clock, a=[error, error, WakeAfter(10.0), error])
    async with running(reconciler, clock, cache) as loop:
        loop.queue.add("a")
        await clock.advance(60.0)
    assert [at for _, at in reconciler.seen] == [0.0, 1.0, 3.0, 13.0, 14.0]


async def test_hopeless_is_not_tried_again() -> None:
    clock, cache = VirtualClock(), Cache(KINDS)
    reconciler = Scripted(clock, a=[Hopeless("not valid")])
    async with running(reconciler, clock, cache) as loop:
        loop.queue.add("a")
        await clock.advance(1000.0)
    assert len(reconciler.seen) == 1


async def test_a_server_that_names_its_wait_is_obeyed() -> None:
    clock, cache = VirtualClock(), Cache(KINDS)
    reconciler = Scripted(clock, a=[TooManyRequests("later", retry_after_s=20)])
    async with running(reconciler, clock, cache) as loop:
        loop.queue.add("a")
        await clock.advance(60.0)
    assert [at for _, at in reconciler.seen] == [0.0, 20.0]


async def test_nothing_is_left_when_the_loop_has_ended() -> None:
    clock, cache = VirtualClock(), Cache(KINDS)
    reconciler = Scripted(clock, a=[WakeAfter(30.0)])
    before = len(asyncio.all_tasks())
    async with running(reconciler, clock, cache) as loop:
        loop.queue.add("a")
        await settle()
    assert len(asyncio.all_tasks()) == before
    assert len(cache.shelf(kinds.NODE).hub) == 0


async def test_one_sleeper_serves_many_alarms() -> None:
    clock = VirtualClock()
    rung: list[tuple[int, float]] = []
    async with asyncio.TaskGroup() as crew:
        alarms: Alarms[int] = Alarms(clock, lambda key: rung.append((key, clock.monotonic())), crew)
        for key in range(100):
            alarms.set(key, 10.0 + key)
        alarms.set(5, 3.0)
        alarms.set(5, 500.0)
        await settle()
        assert clock.sleeping == 2
        await clock.advance(200.0)
        assert len(alarms) == 0
    assert rung[0] == (5, 3.0)
    assert sorted(rung)[99] == (99, 109.0)
    assert len(rung) == 100


def test_back_off_is_bounded_and_spread() -> None:
    chance = Chance.seeded(7)
    pace = Pace(first_s=0.01, most_s=5.0, jitter=0.5)
    assert all(0.005 <= pace.wait_s(1, chance) <= 0.015 for _ in range(100))
    late = {pace.wait_s(10_000, chance) for _ in range(100)}
    assert min(late) >= 2.5
    assert max(late) <= 7.5
    assert len(late) > 50


def test_the_soonest_of_some_waits() -> None:
    assert sooner(None, None) == DONE
    assert sooner(None, 5.0, 2.0) == WakeAfter(2.0)
