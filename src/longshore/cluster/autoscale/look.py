"""A trial of the cluster as the cache has it. What it is made of is decoded in slices, between which others
have their turn."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from importlib import import_module

from longshore.base.clock import Clock
from longshore.base.limits import LOOP_SLICE
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.watch.cache import Cache
from longshore.machinery.controllers.nodegroups.protocol import Look, Trial
from longshore.machinery.scheduler.profile import Profile


def looking(cache: Cache, clock: Clock, profiles: Mapping[str, Profile]) -> Look:
    """NumPy, on which the scheduler reckons, is fetched in a thread when it is needed first."""

    async def look(pods: Sequence[Doc]) -> Trial:
        scheduler = await asyncio.to_thread(import_module, "longshore.machinery.scheduler.picture")
        room = await asyncio.to_thread(import_module, "longshore.cluster.autoscale.trial")
        objects = {kind: await _docs(cache, clock, kind) for kind in scheduler.LOOKED_AT}
        daemon_sets = await _docs(cache, clock, kinds.DAEMON_SET)
        made: Trial = room.PictureTrial(objects, daemon_sets, pods, profiles)
        return made

    return look


async def _docs(cache: Cache, clock: Clock, kind: Kind) -> list[Doc]:
    found = []
    for number, stored in enumerate(list(cache.shelf(kind).held()), 1):
        found.append(stored.doc)
        if number % LOOP_SLICE == 0:
            await clock.sleep(0)
    return found
