"""Delete Jobs whose time after their end is over."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from longshore.base.clock import Clock
from longshore.core.objects import kinds
from longshore.core.objects.errors import NotFound
from longshore.core.objects.kinds import Kind
from longshore.core.registry.client import Client, Delete, DeleteOptions
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.machinery.controllers.ttl.plan import expires_at
from longshore.machinery.loop.answers import DONE, Answer, WakeAfter

Key = tuple[str, str]


class FinishedJobs:
    """The reconciler; its keys are (namespace, name) of Jobs that are over."""

    name = "ttl-after-finished"
    watches: tuple[Kind, ...] = (kinds.JOB,)

    def __init__(self, cache: Cache, client: Client, clock: Clock) -> None:
        self._cache = cache
        self._client = client
        self._clock = clock

    def keys(self, event: Frame) -> Iterable[Key]:
        if event.type == "DELETED" or expires_at(event.doc) is None:
            return ()
        metadata = event.doc["metadata"]
        return ((metadata["namespace"], metadata["name"]),)

    async def reconcile(self, key: Key) -> Answer:
        job = self._cache.get(kinds.JOB, *key)
        at = None if job is None else expires_at(job)
        if job is None or at is None:
            return DONE
        if (left := at - self._clock.now()) > 0:
            return WakeAfter(left)
        metadata = job["metadata"]
        # Of exactly this state: its time may have been changed meanwhile.
        options = DeleteOptions(
            propagation="Foreground", uid=metadata["uid"], revision=metadata["resourceVersion"]
        )
        with suppress(NotFound):
            await self._client.write(Delete(kinds.JOB, *key, options))
        return DONE
