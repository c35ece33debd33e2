"""One pod alone, while a crowd is being placed: from its creation to its binding, as a watch tells."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.table import Figure
from longshore.base.chance import Chance
from longshore.base.clock import SystemClock
from longshore.base.users import loop_user
from longshore.cluster.bench import templates
from longshore.cluster.process import GC_THRESHOLDS
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.admission.surroundings import AdmissionConfig
from longshore.core.registry.client import Create, Feed
from longshore.core.registry.inprocess import InProcess
from longshore.core.registry.registry import Registry, RegistryConfig
from longshore.core.store.sqlite import SqliteStore
from longshore.machinery.loop.recorder import Journal
from longshore.machinery.scheduler.run import Scheduler

NODES, CROWD = 5000, 100_000
CREATED_AT_ONCE = 500
# Between two of the pods that come alone.
EVERY_S = 0.1
# The crowd is of one controller.
_JOB = {"apiVersion": "batch/v1", "kind": "Job", "name": "crowd", "uid": "1", "controller": True}


async def figures() -> list[Figure]:
    gc.set_threshold(*GC_THRESHOLDS)  # as the server process has them
    clock, chance = SystemClock(), Chance.seeded(1)
    with TemporaryDirectory(prefix="longshore-bench-") as directory:
        # There is no controller here that takes a new node's taint off.
        config = RegistryConfig(admission=AdmissionConfig(disable=("TaintNodesByCondition",)))
        registry = Registry(SqliteStore(Path(directory) / "s.db"), clock, chance, config)
        await registry.open()
        client = InProcess(registry, loop_user("bench"))
        journal = Journal(client, clock)
        scheduler = Scheduler(registry.cache, client, clock, chance, journal)
        async with asyncio.TaskGroup() as crew:
            tasks = [crew.create_task(run()) for run in (registry.run, journal.run)]
            await _prepare(client)
            tasks.append(crew.create_task(scheduler.run()))
            found = await _Watcher(client, clock).measure()
            for task in reversed(tasks):
                task.cancel()
        await registry.close()
    return found


async def _prepare(client: InProcess) -> None:
    """Nodes, and a crowd that waits for the scheduler."""
    nodes = [Create(kinds.NODE, templates.node(f"n{i}", "", pods="1000")) for i in range(NODES)]
    await _submit(client, [Create(kinds.NAMESPACE, {"metadata": {"name": "default"}}), *nodes])
    await _submit(client, [_pod(f"crowd-{i}", ownerReferences=[_JOB]) for i in range(CROWD)])


async def _submit(client: InProcess, work: Sequence[Create]) -> None:
    for start in range(0, len(work), CREATED_AT_ONCE):
        await client.submit(work[start : start + CREATED_AT_ONCE])


def _pod(name: str, **metadata: object) -> Create:
    """One that asks for nothing, so that there is room for all."""
    doc: Doc = {
        "metadata": {"name": name, "namespace": "default", **metadata},
        "spec": {"containers": [{"name": "pause", "image": "pause"}]},
    }
    return Create(kinds.POD, doc)


class _Watcher:
    """Sees pods bound, and how long those that came alone took."""

    def __init__(self, client: InProcess, clock: SystemClock) -> None:
        self._client = client
        self._clock = clock
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
