"""Queues at work: their status tells what they use, and pods go whose quota is taken back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence

from longshore.base.clock import Clock, rfc3339
from longshore.core.objects import kinds
from longshore.core.objects.errors import ApiError
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.client import Client, Delete, DeleteOptions, Patch
from longshore.core.watch.cache import Cache
from longshore.machinery.loop.recorder import Recorder
from longshore.machinery.scheduler.queues.book import Queues
from longshore.machinery.scheduler.queues.status import (
    evicted,
    local_status,
    queue_status,
    reclaimed,
)
from longshore.machinery.scheduler.turns import Evicted

# How often at most the status of queues is written.
REPORT_S = 1.0

Spared = Callable[[Evicted, ApiError], None]
"""Called for each pod that could not be ended, with why."""


class QueueReports:
    """Keeps the status of queues; picture gives the queues as they stand."""

    def __init__(
        self, cache: Cache, client: Client, clock: Clock, picture: Callable[[], Queues]
    ) -> None:
        self._cache, self._client, self._clock = cache, client, clock
        self._picture = picture
        self._some = asyncio.Event()
        self._log = logging.getLogger("longshore.scheduler")

    def look(self) -> None:
        """There may be news."""
        if self._picture().is_changed:
            self._some.set()

    async def run(self) -> None:
        """Report until cancelled."""
        while True:
            await self._some.wait()
            self._some.clear()
            if not await self._has_reported(self._picture()):
                self._some.set()
            await self._clock.sleep(REPORT_S)

    async def _has_reported(self, queues: Queues) -> bool:
        """Whether all is told as it stands; the rest is next time, unless it is gone by then."""
        queues.is_changed = False
        work = [*self._locals(queues), *self._queues(queues)]
        try:
            answers = await self._client.submit(work) if work else []
        except (ApiError, OSError) as error:
            self._log.warning("queues not reported: %s", error)
            return False
        missed = [answer for answer in answers if isinstance(answer, ApiError)]
        for one in missed:
            self._log.info("queue not reported: %s", one.message)
        return not missed

    def _locals(self, queues: Queues) -> Iterator[Patch]:
        for local in queues.settings.locals:
            yield from self._report(kinds.LOCAL_QUEUE, *local, local_status(queues, local))

    def _queues(self, queues: Queues) -> Iterator[Patch]:
        for name in queues.settings.names:
            yield from self._report(kinds.CLUSTER_QUEUE, "", name, queue_status(queues, name))

    def _report(self, kind: Kind, namespace: str, name: str, status: Doc) -> Iterator[Patch]:
        there = self._cache.get(kind, namespace, name)
        if there is None:
            return
        told = there.get("status") or {}
        if any(told.get(field) != value for field, value in status.items()):
            yield Patch(kind, namespace, name, {"status": status}, "status")


class Evictor:
    """Ends pods whose quota is taken back."""

    def __init__(self, cache: Cache, client: Client, clock: Clock, recorder: Recorder) -> None:
        self._cache, self._client, self._clock = cache, client, clock
        self._recorder = recorder

    async def end(self, pods: Sequence[Evicted], spared: Spared) -> None:
        """Tell them why, then delete them gracefully. Who is gone already needs nothing."""
        now = rfc3339(self._clock.now())
        here = [(one, pod) for one in pods if (pod := self._there(one)) is not None]
        await self._client.submit([evicted(pod, one.queue, now) for one, pod in here])
        work = [
            Delete(kinds.POD, one.namespace, one.name, DeleteOptions(uid=one.uid))
            for one, _ in here
        ]
        for (one, pod), answer in zip(here, await self._client.submit(work), strict=True):
            if isinstance(answer, ApiError):
                spared(one, answer)
            else:
                self._tell(one, pod)

    def _tell(self, one: Evicted, pod: Doc) -> None:
        metadata = {key: pod["metadata"][key] for key in ("namespace", "name", "uid")}
        about = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}
        self._recorder.event(about, "Normal", "Preempted", reclaimed(one.queue))

    def _there(self, one: Evicted) -> Doc | None:
        found = self._cache.get(kinds.POD, one.namespace, one.name)
        if found is None or found["metadata"]["uid"] != one.uid:
            return None
        return None if "deletionTimestamp" in found["metadata"] else found
