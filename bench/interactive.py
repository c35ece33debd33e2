"""One pod alone, while a crowd is being placed: from its creation to its binding, as a watch tells."""

from __future__ import annotations

import asyncio

from bench.table import Figure
from longshore.cluster.bench import templates
from longshore.cluster.bench.control_plane import ControlPlane, control_plane, scheduler
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Create, Feed

NODES, CROWD = 5000, 100_000
# Between two of the pods that come alone.
EVERY_S = 0.1
# The crowd is of one controller.
_JOB = {"apiVersion": "batch/v1", "kind": "Job", "name": "crowd", "uid": "1", "controller": True}


async def figures() -> list[Figure]:
    async with control_plane() as plane, asyncio.TaskGroup() as crew:
        await _prepare(plane)
        scheduling = crew.create_task(scheduler(plane))
        found = await _Watcher(plane).measure()
        scheduling.cancel()
    return found


async def _prepare(plane: ControlPlane) -> None:
    """Nodes, and a crowd that waits for the scheduler."""
    nodes = [Create(kinds.NODE, templates.node(f"n{i}", "", pods="1000")) for i in range(NODES)]
    await plane.submit(nodes)
    await plane.submit([_pod(f"crowd-{i}", ownerReferences=[_JOB]) for i in range(CROWD)])


def _pod(name: str, **metadata: object) -> Create:
    """One that asks for nothing, so that there is room for all."""
    doc: Doc = {
        "metadata": {"name": name, "namespace": "default", **metadata},
        "spec": {"containers": [{"name": "pause", "image": "pause"}]},
    }
    return Create(kinds.POD, doc)


class _Watcher:
    """Sees pods bound, and how long those that came alone took."""

    def __init__(self, plane: ControlPlane) -> None:
        self._client = plane.client
        self._clock = plane.clock
        self._made: dict[str, float] = {}
        self._crowd: set[str] = set()
        self.taken: list[float] = []

    async def measure(self) -> list[Figure]:
        _, feed = await self._client.list_and_watch(kinds.POD, "default")
        await self._hear(feed)
        begun, before = self._clock.monotonic(), len(self._crowd)
        async with asyncio.TaskGroup() as crew:
            alone = crew.create_task(self._come_alone())
            while len(self._crowd) < CROWD:
                await self._hear(feed)
            alone.cancel()
        feed.close()
        took = self._clock.monotonic() - begun
        waits = sorted(self.taken)
        note = f"p50 {waits[len(waits) // 2] * 1e3:.1f}, {len(waits)} pods; crowd of {CROWD:,}"
        late = waits[len(waits) * 99 // 100] * 1e3
        return [
            Figure(
                "one pod while a crowd is placed, create to bound, p99", late, "ms", 20, note=note
            ),
            Figure("the crowd meanwhile", (CROWD - before) / took, "pods/s", 6800, at_most=False),
        ]

    async def _come_alone(self) -> None:
        for number in range(CROWD):
            name = f"alone-{number}"
            self._made[name] = self._clock.monotonic()
            await self._client.submit([_pod(name)])
            await self._clock.sleep(EVERY_S)

    async def _hear(self, feed: Feed) -> None:
        for change in await feed.next_batch():
            if change.doc["spec"].get("nodeName"):
                self._see(change.doc["metadata"]["name"])

    def _see(self, name: str) -> None:
        if name.startswith("crowd"):
            self._crowd.add(name)
        elif name in self._made:
            self.taken.append(self._clock.monotonic() - self._made.pop(name))
