"""All that looks after one node's resources, put together."""

from __future__ import annotations

import asyncio

from longshore.machinery.kubelet.resources.around import Around
from longshore.machinery.kubelet.resources.eviction.run import Evictor
from longshore.machinery.kubelet.resources.garbage.run import Collector
from longshore.machinery.kubelet.resources.meter import Meter
from longshore.machinery.kubelet.resources.rotation.run import Rotator


class NodeResources:
    """One per agent."""

    def __init__(self, around: Around) -> None:
        self.meter = Meter(around.config, around.runtime)
        self._garbage = Collector(around)
        self._rotator = Rotator(around)
        self.evictor = Evictor(around, self.meter, self._garbage.reclaim)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as crew:
            crew.create_task(self.evictor.run(), name="eviction")
            crew.create_task(self._rotator.run(), name="logs that grow")
            crew.create_task(self._garbage.run(), name="images that nobody needs")
