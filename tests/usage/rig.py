"""The usage loop on a real registry, under simulated time: pods by the API, samples by a table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from longshore.base.chance import Chance
from longshore.base.users import loop_user
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.objects.usage import records
from longshore.core.objects.usage.series import COLUMNS
from longshore.core.registry.client import Bind, Create, Delete, DeleteOptions, Patch
from longshore.core.registry.inprocess import InProcess
from longshore.core.registry.registry import Registry
from longshore.core.store.memory import MemoryStore
from longshore.core.streams.samples import NodeSample, PodSample, Use
from longshore.machinery.controllers.usage.run import Usage, UsageMetrics
from longshore.testing.loop import LoopClock, SimulatedLoop

MIB = 1 << 20
TYPED = {
    kinds.DEPLOYMENT: {"apiVersion": "apps/v1", "kind": "Deployment"},
    kinds.REPLICA_SET: {"apiVersion": "apps/v1", "kind": "ReplicaSet"},
}


class Measured:
    """Samples: what each pod's container main is said to use, by the pod's uid; all are on node n1."""

    def __init__(self, clock: LoopClock) -> None:
        self._clock = clock
        self.uses: dict[str, Use] = {}

    async def of_nodes(self, names: Iterable[str]) -> Mapping[str, NodeSample]:
        at = self._clock.now()
        pods = {
            uid: PodSample("", "", uid, at, 60.0, {"main": use}) for uid, use in self.uses.items()
        }
        return {"n1": NodeSample("n1", at, 60.0, None, pods)} if "n1" in names else {}


class World:
    """A registry that lives on when the loop is started again."""

    def __init__(self, registry: Registry, clock: LoopClock, loop: SimulatedLoop) -> None:
        self._loop = loop
        self.registry = registry
        self.clock = clock
        self.cache = registry.cache
        self.client = InProcess(registry, loop_user("test"))
        self.measured = Measured(clock)
        self.metrics = UsageMetrics()

    @asynccontextmanager
    async def running(self, client: InProcess | None = None) -> AsyncIterator[None]:
        usage = Usage(self.cache, client or self.client, self.clock, self.measured, self.metrics)
        async with asyncio.TaskGroup() as crew:
            task = crew.create_task(usage.run())
            await self._loop.rest()
            try:
                yield
            finally:
                task.cancel()

    async def wait(self, seconds: float) -> None:
        """Let that much time pass."""
        await self.clock.sleep(seconds)
        await self._loop.rest()

    async def pod(self, name: str, use: Use | None = None, **more: Any) -> Doc:
        """A pod of namespace shop on node n1."""
        requests = more.get("requests", {"cpu": "500m", "memory": "64Mi"})
        owners = {"ownerReferences": [more["owner"]]} if "owner" in more else {}
        container = {"name": "main", "image": "a", "resources": {"requests": requests}}
        doc = {
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "shop", **owners},
            "spec": {"containers": [container]},
        }  # fmt: skip
        made = await self.client.write(Create(kinds.POD, doc))
        await self.client.submit([Bind("shop", name, "n1")])
        await self.status(name, phase="Running")
        if use is not None:
            self.measured.uses[made["metadata"]["uid"]] = use
        return made

    async def status(self, name: str, **status: Any) -> None:
        await self.client.write(Patch(kinds.POD, "shop", name, {"status": status}, "status"))

    async def delete(self, name: str) -> None:
        await self.client.write(Delete(kinds.POD, "shop", name, DeleteOptions(grace_s=0)))

    async def deployment(self, name: str) -> Doc:
        """A Deployment with its ReplicaSet; the reference to the latter."""
        labels = {"app": name}
        container = {"name": "main", "image": "a"}
        spec = {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        }
        metadata = {"name": name, "namespace": "shop"}
        above = await self._made(kinds.DEPLOYMENT, {"metadata": metadata, "spec": spec})
        owners = {"ownerReferences": [reference(above)]}
        below = {"metadata": {**metadata, "name": f"{name}-1", **owners}, "spec": spec}
        return reference(await self._made(kinds.REPLICA_SET, below))

    async def _made(self, kind: kinds.Kind, doc: Doc) -> Doc:
        return await self.client.write(Create(kind, {**TYPED[kind], **doc}))

    def kept(self, project: str = "shop") -> dict[str, int]:
        """All that the records of a project say, by column."""
        found = (self.cache.get(kinds.USAGE_RECORD, "", one) for one in records.names(project))
        history = records.history([one for one in found if one is not None])
        until = int(self.clock.now()) // 60 * 60 + 60
        total = history.read(60, history.start, until).total() if history.start else [0] * 7
        return dict(zip(COLUMNS, total, strict=True))


def reference(doc: Doc) -> Doc:
    metadata = doc["metadata"]
    return {
        "apiVersion": doc["apiVersion"], "kind": doc["kind"], "name": metadata["name"],
        "uid": metadata["uid"], "controller": True,
    }  # fmt: skip


def simulated(test: Callable[[World], Awaitable[None]]) -> Callable[[], None]:
    """A test that is given a world of its own, in which months are seconds."""

    def run() -> None:
        loop = SimulatedLoop()
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(_played(test, loop))

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


async def _played(test: Callable[[World], Awaitable[None]], loop: SimulatedLoop) -> None:
    clock = LoopClock(loop)
    registry = Registry(MemoryStore(), clock, Chance(1))
    await registry.open()
    async with asyncio.TaskGroup() as crew:
        task = crew.create_task(registry.run())
        world = World(registry, clock, loop)
        await _furnish(world)
        try:
            await test(world)
        finally:
            task.cancel()
    await registry.close()


async def _furnish(world: World) -> None:
    for name in ("default", "shop"):
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        await world.client.write(Create(kinds.NAMESPACE, namespace))
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}}
    await world.client.write(Create(kinds.NODE, node))
