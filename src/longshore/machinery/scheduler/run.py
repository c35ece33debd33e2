"""The scheduler as the server starts it. NumPy takes 50 ms to import and 20 MB to keep, so it is
fetched when the first pod needs a node, in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import TypeAlias

from longshore.base.chance import Chance
from longshore.base.clock import Clock
from longshore.core.objects import kinds
from longshore.core.objects.errors import Expired
from longshore.core.registry.client import Client
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.machinery.loop.recorder import Journal
from longshore.machinery.scheduler.profile import PROFILES, Profile

# As a field it stands only in a pod's spec; within strings its quotes would be escaped.
_NODE_FIELD = b'"nodeName":'

Lines: TypeAlias = Callable[[], Iterable[str]]


class Scheduler:
    """Gives every pod without a node one."""

    def __init__(
        self,
        cache: Cache,
        client: Client,
        clock: Clock,
        chance: Chance,
        journal: Journal,
        profiles: Mapping[str, Profile] = PROFILES,
    ) -> None:
        recorder = journal.recorder(next(iter(profiles)))
        self._parts = (cache, client, clock, chance, recorder, profiles)
        self._lines: Lines = tuple

    async def run(self) -> None:
        """Schedule until cancelled."""
        await self._first_pod()
        room = await asyncio.to_thread(import_module, "longshore.machinery.scheduler.worker")
        worker = room.Worker(*self._parts)
        self._lines = worker.metrics.lines
        await worker.run()

    def metrics(self) -> Iterable[str]:
        """What /metrics tells of it; nothing before the first pod."""
        return self._lines()

    async def _first_pod(self) -> None:
        feed = self._parts[0].subscribe(kinds.CLUSTER_QUEUE, kinds.OFFER, kinds.POD)
        try:
            while not any(_wants_node(frame) for frame in await feed.next_batch()):
                pass
        except Expired:
            return  # so many pods that there will be one
        finally:
            feed.close()


def _wants_node(frame: Frame) -> bool:
    """Of a pod told by the bytes: of a cluster's pods, hardly one waits when a server starts. Offers
    need the scheduler too, and queues their status."""
    return frame.kind is not kinds.POD or _NODE_FIELD not in frame.stored.rest
