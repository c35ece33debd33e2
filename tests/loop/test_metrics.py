"""What is counted of queues, as Prometheus reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from longshore.base.chance import Chance
from longshore.core.objects import kinds
from longshore.core.objects.errors import Conflict
from longshore.core.objects.kinds import KINDS, Kind
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.machinery.loop.answers import DONE, Answer
from longshore.machinery.loop.loop import Loop
from longshore.machinery.loop.metrics import WorkQueues
from longshore.machinery.loop.queue import KeyedQueue
from longshore.testing.clock import VirtualClock


def read(queues: WorkQueues, clock: VirtualClock) -> dict[str, float]:
    """The numbers of the one queue, without their label and common beginning."""
    found = {}
    for line in queues.lines(clock.monotonic()):
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            name = name.replace('{name="test"}', "").replace('name="test",', "")
            found[name.removeprefix("workqueue_")] = float(value)
    return found


async def test_a_key_is_followed_from_its_coming_to_its_end() -> None:
    clock, queues = VirtualClock(), WorkQueues()
    queue: KeyedQueue[str] = KeyedQueue(clock.monotonic, queues.meter("test"))
    queue.add("a")
    queue.add("a")
    queue.add("b")
    assert read(queues, clock)["depth"] == 2
    assert read(queues, clock)["adds_total"] == 2
    await clock.advance(3.0)
    assert await queue.take() == "a"
    await clock.advance(5.0)
    queue.add("a")
    assert await queue.take() == "b"
    await clock.advance(1.0)
    now = read(queues, clock)
    assert now["adds_total"] == 3, "what comes again is counted again"
    assert now["depth"] == 1
    assert now["unfinished_work_seconds"] == 7.0
    assert now["longest_running_processor_seconds"] == 6.0
    assert (now["queue_duration_seconds_sum"], now["queue_duration_seconds_count"]) == (11.0, 2)
    queue.done("a")
    queue.done("b")
    now = read(queues, clock)
    assert (now["work_duration_seconds_sum"], now["work_duration_seconds_count"]) == (7.0, 2)
    assert now['work_duration_seconds_bucket{le="1"}'] == 1
    assert now['work_duration_seconds_bucket{le="10"}'] == 2
    assert now["unfinished_work_seconds"] == now["longest_running_processor_seconds"] == 0
    assert await queue.take() == "a"
    assert read(queues, clock)["queue_duration_seconds_sum"] == 12.0, "since it came again"


class Refused:
    """Is refused twice, then done."""

    name = "test"
    watches: tuple[Kind, ...] = (kinds.NODE,)

    def __init__(self) -> None:
        self._left = 2

    def keys(self, event: Frame) -> Iterable[str]:
        return (event.stored.name,)

    async def reconcile(self, key: str) -> Answer:
        self._left -= 1
        if self._left >= 0:
            raise Conflict("not yet")
        return DONE


async def test_what_is_tried_again_is_counted_and_a_loop_begun_anew_goes_on_counting() -> None:
    clock, queues, cache = VirtualClock(), WorkQueues(), Cache(KINDS)
    for tries, retries in ((3, 2), (6, 4)):
        loop = Loop(Refused(), cache, clock, Chance.seeded(1))
        loop.counted_by(queues.meter("test"))
        async with asyncio.TaskGroup() as crew:
            crew.create_task(loop.run())
            loop.queue.add("a")
            await clock.advance(60.0)
            loop.stop()
        now = read(queues, clock)
        assert (now["adds_total"], now["retries_total"]) == (tries, retries)
        assert now["work_duration_seconds_count"] == tries
        assert now["depth"] == now["unfinished_work_seconds"] == 0
