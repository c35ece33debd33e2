"""What hollow pods are said to use: by annotations of theirs, or of what controls them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from longshore.base.chance import Chance
from longshore.base.users import loop_user
from longshore.cluster.readings.statistics import HollowStatistics
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.client import Bind, Create, Update
from longshore.core.registry.inprocess import InProcess
from longshore.core.registry.registry import Registry
from longshore.core.store.memory import MemoryStore
from longshore.testing.clock import VirtualClock

CPU, MEMORY = "longshore.io/hollow-cpu", "longshore.io/hollow-memory"
MI = 1 << 20
TEMPLATE = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [{"name": "a", "image": "x"}]},
}


class Hollow:
    """One node, and words for what is on it."""

    def __init__(self, registry: Registry, clock: VirtualClock) -> None:
        self.client = InProcess(registry, loop_user("test"))
        self.statistics = HollowStatistics(registry, clock)

    async def make(self, kind: Kind, name: str, spec: Doc, **metadata: Any) -> Doc:
        where = {"namespace": "default"} if kind.namespaced else {}
        doc = {"metadata": {"name": name, **where, **metadata}, "spec": spec}
        return await self.client.write(Create(kind, doc))

    async def owner(self, kind: Kind, name: str, load: dict[str, str], **metadata: Any) -> Doc:
        spec = {"selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE}
        return await self.make(kind, name, spec, annotations=load, **metadata)

    async def pod(
        self, name: str, *, containers: int = 1, phase: str = "Running", **more: Any
    ) -> None:
        each = [{"name": f"c{number}", "image": "x"} for number in range(containers)]
        made = await self.make(kinds.POD, name, {"containers": each}, **more)
        await self.client.write(Bind("default", name, "n1"))
        there = await self.client.get(kinds.POD, "default", name)
        status = {**made["status"], "phase": phase}
        await self.client.write(Update(kinds.POD, {**there, "status": status}, "status"))

    async def used(self) -> dict[str, list[tuple[int, int]]]:
        """Thousandths of a core and bytes of each container, by pod."""
        said = await self.statistics.stats("n1")
        return {
            pod["podRef"]["name"]: [
                (one["cpu"]["usageNanoCores"] // 10**6, one["memory"]["workingSetBytes"])
                for one in pod["containers"]
            ]
            for pod in said["pods"]
        }


@asynccontextmanager
async def hollow() -> AsyncIterator[Hollow]:
    clock = VirtualClock()
    registry = Registry(MemoryStore(), clock, Chance.seeded(1))
    await registry.open()
    async with asyncio.TaskGroup() as crew:
        running = crew.create_task(registry.run())
        here = Hollow(registry, clock)
        await here.make(kinds.NAMESPACE, "default", {})
        await here.make(kinds.NODE, "n1", {})
        yield here
        running.cancel()


def owned(kind: str, owner: Doc) -> dict[str, Any]:
    metadata = owner["metadata"]
    reference = {
        "apiVersion": "apps/v1", "kind": kind, "name": metadata["name"], "uid": metadata["uid"],
        "controller": True,
    }  # fmt: skip
    return {"ownerReferences": [reference]}


async def test_a_pod_uses_what_it_says_in_equal_parts() -> None:
    async with hollow() as here:
        await here.pod("a", containers=2, annotations={CPU: "1", MEMORY: "64Mi"})
        await here.pod("b", annotations={CPU: "0"})
        assert await here.used() == {"a": [(500, 32 * MI)] * 2, "b": [(0, MI)]}


@pytest.mark.parametrize("odd", ["much", "", "1x"])
async def test_what_is_no_quantity_counts_as_not_given(odd: str) -> None:
    async with hollow() as here:
        await here.pod("a", annotations={CPU: odd})
        assert await here.used() == {"a": [(1, MI)]}


async def test_the_load_of_a_deployment_is_shared_by_all_its_pods_that_run() -> None:
    async with hollow() as here:
        web = await here.owner(kinds.DEPLOYMENT, "web", {CPU: "900m"})
        for number in range(2):
            under = owned("Deployment", web)
            replicas = await here.owner(kinds.REPLICA_SET, f"web-{number}", {CPU: "9"}, **under)
            await here.pod(f"a{number}", **owned("ReplicaSet", replicas))
        await here.pod("waiting", phase="Pending", **owned("ReplicaSet", replicas))
        assert await here.used() == {"a0": [(450, MI)], "a1": [(450, MI)]}


async def test_a_pod_goes_by_its_own_word_and_never_by_a_namesakes() -> None:
    async with hollow() as here:
        web = await here.owner(kinds.REPLICA_SET, "web", {CPU: "300m"})
        await here.pod("a", annotations={CPU: "5m"}, **owned("ReplicaSet", web))
        earlier = {**web, "metadata": {**web["metadata"], "uid": "another"}}
        await here.pod("b", **owned("ReplicaSet", earlier))
        assert await here.used() == {"a": [(5, MI)], "b": [(1, MI)]}


async def test_what_was_read_follows_its_pod() -> None:
    """And of nodes that are gone nothing is kept."""
    async with hollow() as it:
        await it.pod("one", annotations={CPU: "100m"})
        assert (await it.used())["one"][0][0] == 100
        there = await it.client.get(kinds.POD, "default", "one")
        there = {**there, "metadata": {**there["metadata"], "annotations": {CPU: "300m"}}}
        await it.client.write(Update(kinds.POD, there))
        assert (await it.used())["one"][0][0] == 300
        for number in range(5):
            await it.statistics.stats(f"gone-{number}")
        assert len(it.statistics._known) <= 1
        assert (await it.used())["one"][0][0] == 300
