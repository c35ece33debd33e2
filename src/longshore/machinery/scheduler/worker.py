"""The scheduler at work: hear of pods and nodes, decide in turns, bind in batches.

Hearing goes on while bindings are being written; a turn begins as soon as something waits and the
last turn is written, so one pod is placed at once and ten thousand share a transaction.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from longshore.base.chance import Chance
from longshore.base.clock import Clock, rfc3339
from longshore.base.limits import LOOP_SLICE
from longshore.core.objects import kinds
from longshore.core.objects.errors import ApiError, Conflict, Expired, NotFound
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Bind, Client, Patch
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.machinery.loop.alarms import Alarms
from longshore.machinery.loop.backoff import Failures, Pace
from longshore.machinery.loop.recorder import Recorder
from longshore.machinery.scheduler.desk import Desk, Pending, Turn, unbound

# Bindings in one call: a transaction of this size is a few tens of milliseconds.
BATCH = 1000
# News that is heard in one turn of the loop: as many as others write in one, so that in a burst the
# scheduler keeps up, and binds pods while the cache still has them decoded. It is some 15 ms.
HEARD_SLICE = 1024


class Worker:
    def __init__(
        self, cache: Cache, client: Client, clock: Clock, chance: Chance, recorder: Recorder
    ) -> None:
        self._cache = cache
        self._client = client
        self._clock = clock
        self._recorder = recorder
        self._desk = Desk()
        # Held while a batch of changes is half heard: nothing is decided on half a picture.
        self._picture = asyncio.Lock()
        self._some = asyncio.Event()
        self._failures: Failures[str] = Failures(Pace(first_s=0.1, most_s=10.0), chance)
        self._log = logging.getLogger("longshore.scheduler")

    async def run(self) -> None:
        """Schedule until cancelled."""
        async with asyncio.TaskGroup() as crew:
            self._alarms: Alarms[tuple[str, str]] = Alarms(self._clock, self._look_again, crew)
            crew.create_task(self._hear(), name="scheduler hears")
            crew.create_task(self._work(), name="scheduler places")

    async def _hear(self) -> None:
        while True:
            feed, most = self._cache.subscribe(kinds.NODE, kinds.POD), LOOP_SLICE
            try:
                while True:
                    await self._take_in_all(await feed.next_batch(), most)
                    most = HEARD_SLICE
            except Expired:
                self._log.warning("fell too far behind: reading everything anew")
                async with self._picture:
                    self._desk = Desk()
            finally:
                feed.close()

    async def _take_in_all(self, batch: Sequence[Frame], most: int) -> None:
        """Take changes in, at most so many in one turn of the loop."""
        async with self._picture:
            for number, event in enumerate(batch, 1):
                self._take_in(event)
                if number % most == 0:
                    await self._clock.sleep(0)
        self._some.set()

    def _take_in(self, event: Frame) -> None:
        try:
            self._desk.hear(event)
        except Exception:  # noqa: BLE001 - the loop's rim: one odd object must not stop scheduling
            self._log.exception("%s %s not understood", event.kind.name, event.stored.key)

    async def _work(self) -> None:
        while True:
            await self._some.wait()
            turn = Turn([], [])
            try:
                async with self._picture:
                    self._some.clear()
                    turn = self._desk.turn()
                    if self._desk.has_work():
                        self._some.set()
                await self._bind(turn)
                await self._tell_refused(turn)
            except Exception:  # noqa: BLE001 - the loop's rim: scheduling must go on whatever fails
                self._log.exception("a turn failed")
                self._take_back([pod for pod, _ in turn.bound])
                await self._clock.sleep(1.0)

    async def _bind(self, turn: Turn) -> None:
        for start in range(0, len(turn.bound), BATCH):
            part = turn.bound[start : start + BATCH]
            work = [Bind(pod.namespace, pod.name, node, pod.uid) for pod, node in part]
            answers = await self._client.submit(work)
            for (pod, node), answer in zip(part, answers, strict=True):
                if isinstance(answer, ApiError):
                    self._not_bound(pod, answer)
                else:
                    self._tell_bound(pod, node)

    def _tell_bound(self, pod: Pending, node: str) -> None:
        self._failures.forget(pod.uid)
        message = f"Successfully assigned {pod.namespace}/{pod.name} to {node}"
        self._recorder.event(pod.about, "Normal", "Scheduled", message)
        if pod.pod_class.ignored:
            self._recorder.event(pod.about, "Warning", "NotWeighed", pod.pod_class.ignored)

    def _not_bound(self, pod: Pending, error: ApiError) -> None:
        """Bound by somebody else, or gone: the cache tells. All else is tried again, later."""
        if isinstance(error, Conflict | NotFound):
            self._take_back([pod])
            return
        self._desk.forget(pod.uid)
        self._log.warning("%s/%s not bound: %s", pod.namespace, pod.name, error.message)
        self._alarms.set((pod.namespace, pod.name), self._failures.wait_s(pod.uid))

    def _take_back(self, pods: list[Pending]) -> None:
        get = self._cache.get
        unbound(self._desk, [(pod, get(kinds.POD, pod.namespace, pod.name)) for pod in pods])
        self._some.set()

    def _look_again(self, key: tuple[str, str]) -> None:
        pod = self._cache.get(kinds.POD, *key)
        if pod is not None:
            self._desk.see_pod(pod)
            self._some.set()

    async def _tell_refused(self, turn: Turn) -> None:
        work = []
        for pod, message in turn.refused:
            found = self._cache.get(kinds.POD, pod.namespace, pod.name)
            if found is None or _already_told(found, message):
                continue
            self._recorder.event(pod.about, "Warning", "FailedScheduling", message)
            work.append(_unschedulable(found, message, rfc3339(self._clock.now())))
        if work:
            # One that is gone or changed meanwhile is told of when it is next refused.
            await self._client.submit(work)


def _already_told(pod: Doc, message: str) -> bool:
    told = _scheduled_condition(pod)
    return told is not None and told["status"] == "False" and told.get("message") == message


def _scheduled_condition(pod: Doc) -> Doc | None:
    conditions: list[Doc] = (pod.get("status") or {}).get("conditions") or []
    return next((one for one in conditions if one["type"] == "PodScheduled"), None)


def _unschedulable(pod: Doc, message: str, now: str) -> Patch:
    before = _scheduled_condition(pod)
    since = before["lastTransitionTime"] if before and before["status"] == "False" else now
    told = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": message,
        "lastTransitionTime": since,
    }
    conditions = (pod.get("status") or {}).get("conditions") or ()
    others = [one for one in conditions if one["type"] != "PodScheduled"]
    metadata = pod["metadata"]
    patch = {"metadata": {"uid": metadata["uid"]}, "status": {"conditions": [*others, told]}}
    return Patch(kinds.POD, metadata["namespace"], metadata["name"], patch, "status")
