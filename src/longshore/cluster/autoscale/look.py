"""A trial of the cluster as the cache has it. What it is made of is decoded in slices, between which others
have their turn."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import ModuleType

from longshore.base.clock import Clock
from longshore.base.limits import LOOP_SLICE
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.watch.cache import Cache
from longshore.machinery.controllers.nodegroups.protocol import Trial
from longshore.machinery.scheduler.profile import Profile


class Looking:
    """Look. NumPy, on which the scheduler reckons, is fetched in a thread when it is needed first; room
    is the module trial, if it is there already."""

    def __init__(
        self,
        cache: Cache,
        clock: Clock,
        profiles: Mapping[str, Profile],
        room: ModuleType | None = None,
    ) -> None:
        self._cache, self._clock, self._profiles = cache, clock, profiles
        self._room = room

    async def __call__(self, pods: Sequence[Doc]) -> Trial:
        if self._room is None:
            room = await asyncio.to_thread(import_module, "longshore.cluster.autoscale.trial")
            self._room = room
        objects = {kind: await self._docs(kind) for kind in self._room.LOOKED_AT}
        daemon_sets = await self._docs(kinds.DAEMON_SET)
        made: Trial = self._room.PictureTrial(objects, daemon_sets, pods, self._profiles)
        return made

    async def _docs(self, kind: Kind) -> list[Doc]:
        found = []
        for number, stored in enumerate(list(self._cache.shelf(kind).held()), 1):
            found.append(stored.doc)
            if number % LOOP_SLICE == 0:
                await self._clock.sleep(0)
        return found
