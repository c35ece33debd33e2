"""The scheduler as the server starts it. NumPy takes 50 ms to import, so it is fetched in a thread
while the rest of the server comes up."""

from __future__ import annotations

import asyncio
from importlib import import_module

from longshore.base.chance import Chance
from longshore.base.clock import Clock
from longshore.core.registry.client import Client
from longshore.core.watch.cache import Cache
from longshore.machinery.loop.recorder import Recorder


async def run_scheduler(
    cache: Cache, client: Client, clock: Clock, chance: Chance, recorder: Recorder
) -> None:
    """Give every pod without a node one, until cancelled."""
    room = await asyncio.to_thread(import_module, "longshore.machinery.scheduler.worker")
    await room.Worker(cache, client, clock, chance, recorder).run()
