"""The scheduler against the real registry."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from longshore.base.chance import Chance
from longshore.base.users import loop_user
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.admission.surroundings import AdmissionConfig
from longshore.core.registry.client import (
    Bind,
    Client,
    Create,
    Delete,
    DeleteOptions,
    Patch,
    Update,
)
from longshore.core.registry.inprocess import InProcess
from longshore.core.registry.registry import Registry, RegistryConfig
from longshore.core.store.memory import MemoryStore
from longshore.machinery.loop.recorder import Journal
from longshore.machinery.scheduler.worker import Worker
from longshore.testing.clock import VirtualClock, settle

from .placing import node, pod


class Site:
    def __init__(self, registry: Registry, clock: VirtualClock, scheduler: Worker) -> None:
        self.scheduler = scheduler
        self.cache = registry.cache
        self.clock = clock
        self.client = InProcess(registry, loop_user("test"))

    async def node(self, doc: Doc) -> None:
        doc["metadata"].pop("resourceVersion")
        there = await self.client.write(Create(kinds.NODE, doc))
        await self.client.write(Update(kinds.NODE, {**there, "status": doc["status"]}, "status"))

    async def pod(self, doc: Doc) -> None:
        metadata = {"name": doc["metadata"]["name"], "namespace": "shop"}
        await self.client.write(Create(kinds.POD, {**doc, "metadata": metadata}))

    async def quiet(self) -> None:
        for _ in range(20):
            await settle()
            await self.clock.advance(0.2)

    def found(self, name: str) -> Doc:
        doc = self.cache.get(kinds.POD, "shop", name)
        assert doc is not None
        return doc

    def told(self, reason: str) -> list[str]:
        events = self.cache.all(kinds.EVENT, "shop")
        return sorted(one["message"] for one in events if one["reason"] == reason)


@asynccontextmanager
async def site(through: Callable[[Client], Client] = lambda client: client) -> AsyncIterator[Site]:
    """A cluster with a scheduler, whose writes go through something."""
    clock = VirtualClock()
    # There is no controller here that takes a new node's taint off.
    config = RegistryConfig(admission=AdmissionConfig(disable=("TaintNodesByCondition",)))
    registry = Registry(MemoryStore(), clock, Chance.seeded(1), config)
    await registry.open()
    client = InProcess(registry, loop_user("scheduler"))
    journal = Journal(client, clock)
    async with asyncio.TaskGroup() as crew:
        recorder = journal.recorder("default-scheduler")
        scheduler = Worker(registry.cache, through(client), clock, Chance.seeded(2), recorder)
        parts = (registry.run(), journal.run(), scheduler.run())
        tasks = [crew.create_task(part) for part in parts]
        made = Site(registry, clock, scheduler)
        await made.client.write(Create(kinds.NAMESPACE, {"metadata": {"name": "shop"}}))
        await made.quiet()
        yield made
        for task in tasks:
            task.cancel()


async def test_a_pod_gets_its_node_and_people_hear_of_it() -> None:
    async with site() as there:
        await there.node(node("a"))
        await there.pod(pod("p", {"cpu": "1"}))
        await there.quiet()
        found = there.found("p")
        assert found["spec"]["nodeName"] == "a"
        conditions = {c["type"]: c["status"] for c in found["status"]["conditions"]}
        assert conditions["PodScheduled"] == "True"
        assert there.told("Scheduled") == ["Successfully assigned shop/p to a"]


async def test_a_pod_that_fits_nowhere_says_why_once_and_goes_when_there_is_room() -> None:
    async with site() as there:
        await there.node(node("a", cpu="1"))
        await there.pod(pod("first", {"cpu": "1"}))
        await there.quiet()
        await there.pod(pod("second", {"cpu": "1"}))
        await there.quiet()
        (condition,) = there.found("second")["status"]["conditions"]
        assert (condition["type"], condition["status"], condition["reason"]) == (
            "PodScheduled", "False", "Unschedulable",
        )  # fmt: skip
        message = (
            "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: "
            "1 No preemption victims found for incoming pod."
        )
        assert condition["message"] == message
        before = there.cache.revision
        await there.quiet()
        assert there.cache.revision == before, "nothing is written while nothing changes"
        assert there.told("FailedScheduling") == [message]
        await there.node(node("b", cpu="1"))
        await there.quiet()
        assert there.found("second")["spec"]["nodeName"] == "b"


async def test_many_pods_are_bound_without_overcommitting() -> None:
    async with site() as there:
        for number in range(10):
            await there.node(node(f"n{number}", pods=20))
        creates = [
            Create(kinds.POD, {**pod(f"p{i}"), "metadata": {"name": f"p{i}", "namespace": "shop"}})
            for i in range(250)
        ]
        await there.client.submit(creates)
        await there.quiet()
        pods = there.cache.all(kinds.POD, "shop")
        nodes = [one["spec"].get("nodeName") for one in pods]
        assert nodes.count(None) == 50
        assert {nodes.count(f"n{number}") for number in range(10)} == {20}


async def test_a_pod_that_somebody_else_bound_is_left_there() -> None:
    async with site() as there:
        await there.pod(pod("p"))
        await there.quiet()
        await there.client.write(Bind("shop", "p", "elsewhere"))
        await there.node(node("a", pods=1))
        await there.quiet()
        assert there.found("p")["spec"]["nodeName"] == "elsewhere"
        await there.pod(pod("q"))
        await there.quiet()
        assert there.found("q")["spec"]["nodeName"] == "a"


async def test_a_deleted_pod_makes_room() -> None:
    async with site() as there:
        await there.node(node("a", pods=1))
        await there.pod(pod("p"))
        await there.quiet()
        await there.pod(pod("q"))
        await there.quiet()
        await there.client.write(Delete(kinds.POD, "shop", "p", DeleteOptions(grace_s=0)))
        await there.quiet()
        assert there.found("q")["spec"]["nodeName"] == "a"


async def test_a_pod_of_a_higher_priority_drives_another_out() -> None:
    async with site() as there:
        metadata = {"name": "high"}
        await there.client.write(
            Create(kinds.PRIORITY_CLASS, {"metadata": metadata, "value": 1000})
        )
        await there.node(node("a", cpu="1"))
        await there.pod(pod("low", {"cpu": "1"}))
        await there.quiet()
        await there.pod(pod("urgent", {"cpu": "1"}, priorityClassName="high"))
        await there.quiet()
        low = there.found("low")
        assert low["metadata"]["deletionGracePeriodSeconds"] == 30
        target = next(c for c in low["status"]["conditions"] if c["type"] == "DisruptionTarget")
        assert (target["status"], target["reason"]) == ("True", "PreemptionByScheduler")
        assert target["message"] == (
            "default-scheduler: preempting to accommodate a higher priority pod"
        )
        urgent = there.found("urgent")
        assert urgent["status"]["nominatedNodeName"] == "a"
        uid = urgent["metadata"]["uid"]
        assert there.told("Preempted") == [f"Preempted by pod {uid} on node a"]
        before = there.cache.revision
        await there.quiet()
        assert there.cache.revision == before, "nobody is driven out twice"
        await there.client.write(Delete(kinds.POD, "shop", "low", DeleteOptions(grace_s=0)))
        await there.quiet()
        urgent = there.found("urgent")
        assert urgent["spec"]["nodeName"] == "a"
        assert "nominatedNodeName" not in urgent["status"]


async def test_a_nomination_that_came_to_nothing_is_taken_back() -> None:
    async with site() as there:
        await there.client.write(
            Create(kinds.PRIORITY_CLASS, {"metadata": {"name": "high"}, "value": 1000})
        )
        await there.node(node("a", cpu="1"))
        await there.pod(pod("low", {"cpu": "1"}))
        await there.quiet()
        await there.pod(pod("urgent", {"cpu": "1"}, priorityClassName="high"))
        await there.quiet()
        await there.client.write(Patch(kinds.NODE, "", "a", {"spec": {"unschedulable": True}}))
        await there.client.write(Delete(kinds.POD, "shop", "low", DeleteOptions(grace_s=0)))
        await there.quiet()
        assert "nominatedNodeName" not in there.found("urgent")["status"]
