"""One reconciling loop: hear of changes, turn them into keys, and bring each key's world in order.

The pump turns events into keys; a few workers take keys and call reconcile. What reconcile answers
decides what comes next: Done nothing, WakeAfter a later look, Hopeless a log line, any other error
a try after a back-off. This rim is the one place where every error is caught: a loop of the platform must
outlive whatever one object does to it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Hashable, Iterable
from typing import Generic, Protocol, TypeVar

from longshore.base.chance import Chance
from longshore.base.clock import Clock
from longshore.base.limits import LOOP_SLICE
from longshore.core.objects.errors import ApiError, Conflict, Expired
from longshore.core.objects.kinds import Kind
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.machinery.loop.alarms import Alarms
from longshore.machinery.loop.answers import Answer, Hopeless, WakeAfter
from longshore.machinery.loop.backoff import Failures, Pace
from longshore.machinery.loop.metrics import Meter, WorkQueues
from longshore.machinery.loop.queue import KeyedQueue

K = TypeVar("K", bound=Hashable)


class Reconciler(Protocol[K]):
    """What a controller is to its loop."""

    @property
    def name(self) -> str:
        """As it stands in logs: "replicaset"."""

    @property
    def watches(self) -> tuple[Kind, ...]:
        """The kinds whose changes it hears of."""

    def keys(self, event: Frame) -> Iterable[K]:
        """The keys that a change concerns. Called for every change: must be cheap."""

    async def reconcile(self, key: K) -> Answer:
        """Make the key's world as it should be. Never called twice at once for one key."""


class Loop(Generic[K]):
    """Runs one reconciler. Everything that it starts ends with run()."""

    def __init__(
        self,
        reconciler: Reconciler[K],
        cache: Cache,
        clock: Clock,
        chance: Chance,
        *,
        workers: int = 16,
        pace: Pace = Pace(),
    ) -> None:
        self.reconciler = reconciler
        self._cache = cache
        self._clock = clock
        self.counted_by(WorkQueues().meter(reconciler.name))
        self._workers = workers
        self._failures: Failures[K] = Failures(pace, chance)
        self._alarms: Alarms[K] | None = None
        self._log = logging.getLogger(f"longshore.loop.{reconciler.name}")

    @property
    def name(self) -> str:
        return self.reconciler.name

    def counted_by(self, meter: Meter) -> None:
        """Have its queue counted there; before anything is in it."""
        self._meter = meter
        self.queue: KeyedQueue[K] = KeyedQueue(self._clock.monotonic, meter)

    async def run(self) -> None:
        """Work until stop() or cancellation."""
        async with asyncio.TaskGroup() as helpers:
            self._alarms = Alarms(self._clock, self.queue.add, helpers)
            pump = helpers.create_task(self._pump(), name=f"{self.name} pump")
            try:
                await self._crew()
            finally:
                pump.cancel()
                self._alarms.stop()

    def stop(self) -> None:
        """End gracefully: what is being worked on is finished, what waits is left."""
        self.queue.close()

    async def _crew(self) -> None:
        async with asyncio.TaskGroup() as crew:
            for number in range(self._workers):
                crew.create_task(self._work(), name=f"{self.name} worker {number}")

    async def _pump(self) -> None:
        while True:
            feed = self._cache.subscribe(*self.reconciler.watches)
            try:
                while True:
                    for number, event in enumerate(await feed.next_batch(), 1):
                        self._take_in(event)
                        if number % LOOP_SLICE == 0:
                            await self._clock.sleep(0)
            except Expired:
                self._log.warning("fell too far behind: reading everything anew")
            finally:
                feed.close()

    def _take_in(self, event: Frame) -> None:
        try:
            for key in self.reconciler.keys(event):
                self.queue.add(key)
        except Exception:  # noqa: BLE001 - the loop's rim: one odd object must not deafen the loop
            self._log.exception("%s %s not understood", event.kind.name, event.stored.key)

    async def _work(self) -> None:
        while (key := await self.queue.take()) is not None:
            try:
                await self._turn(key)
            finally:
                self.queue.done(key)

    async def _turn(self, key: K) -> None:
        try:
            answer = await self.reconciler.reconcile(key)
        except Hopeless as why:
            self._log.warning("%s: given up: %s", key, why)
        except ApiError as error:
            self._log_refusal(key, error)
            self._look_again(key, max(self._failures.wait_s(key), float(error.retry_after_s)))
            return
        except Exception:  # noqa: BLE001 - the loop's rim: one object's bug must not stop the others
            self._log.exception("%s: unexpected", key)
            self._look_again(key, self._failures.wait_s(key))
            return
        else:
            if isinstance(answer, WakeAfter):
                self._look_again(key, answer.seconds)
        self._failures.forget(key)

    def _look_again(self, key: K, seconds: float) -> None:
        assert self._alarms is not None, "run() makes them"
        self._meter.retries += 1
        self._alarms.set(key, seconds)

    def _log_refusal(self, key: K, error: ApiError) -> None:
        """A conflict is daily bread: somebody else was faster."""
        level = logging.DEBUG if isinstance(error, Conflict) else logging.WARNING
        self._log.log(level, "%s: %s", key, error.message)
