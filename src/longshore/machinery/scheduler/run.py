"""The scheduler as the server starts it. NumPy takes 50 ms to import, so it is fetched in a thread
while the rest of the server comes up."""

from __future__ import annotations

import asyncio
from importlib import import_module

from longshore.base.chance import Chance
from longshore.base.clock import Clock
from longshore.core.registry.client import Client
from longshore.core.watch.cache import Cache
from longshore.machinery.loop.recorder import Journal


class Scheduler:
    """Gives every pod without a node one."""

    def __init__(
        self, cache: Cache, client: Client, clock: Clock, chance: Chance, journal: Journal
    ) -> None:
        self._parts = (cache, client, clock, chance, journal.recorder("default-scheduler"))

    async def run(self) -> None:
        """Schedule until cancelled."""
        room = await asyncio.to_thread(import_module, "longshore.machinery.scheduler.worker")
        await room.Worker(*self._parts).run()
