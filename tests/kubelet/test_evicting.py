"""A node that runs short: pods end, conditions show, what nobody needs goes first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from pathlib import Path

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.resource_settings import ResourceSettings
from longshore.machinery.kubelet.resources.use import Reading
from longshore.machinery.runtime.protocol import DiskUse, Image, State, Usage
from longshore.testing.clock import VirtualClock

from .docs import container, pod
from .world import NODE, Recording, World, until, world_of

MIB = 1 << 20


class Told:
    """Gauges that show what they are told."""

    def __init__(self) -> None:
        self.levels = {"memory.available": 4000 * MIB, "nodefs.available": 90 * MIB,
                       "imagefs.available": 90 * MIB}  # fmt: skip

    def read(self) -> Mapping[str, Reading]:
        """Memory of 4000 MiB, disks of 100."""
        whole = {"memory.available": 4000 * MIB}
        return {
            one: Reading(level, whole.get(one, 100 * MIB)) for one, level in self.levels.items()
        }


class Measured(Recording):
    """A runtime whose containers use what they are told to, by name."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(clock)
        self.memory: dict[str, int] = {}
        self.files: dict[str, int] = {}
        self.present: list[Image] = []
        self.removed: list[str] = []
        self.stuck: set[str] = set()
        self.freed = asyncio.Event()

    async def usage(self) -> tuple[Usage | None, Mapping[str, Usage]]:
        running = [c for c in await self.containers() if c.state is State.RUNNING]
        each = {c.id: Usage(0, 0, self.memory.get(c.name, 0), 0) for c in running}
        return Usage(0, 0, sum(one.working_set_bytes for one in each.values()), 0), each

    async def written(self, container_ids: Collection[str]) -> Mapping[str, DiskUse]:
        known = [c for c in await self.containers() if c.id in container_ids]
        return {c.id: DiskUse(self.files.get(c.name, 0), 1) for c in known}

    async def stop_container(self, container_id: str, grace_s: float) -> None:
        if any(c.id == container_id and c.name in self.stuck for c in await self.containers()):
            await self.freed.wait()
        await super().stop_container(container_id, grace_s)

    async def images(self) -> list[Image]:
        return [*self.present, *await super().images()]

    async def remove_image(self, image_id: str) -> None:
        self.removed.append(image_id)
        self.present = [one for one in self.present if one.id != image_id]


SETTINGS = ResourceSettings(
    eviction_hard={"memory.available": "100Mi", "nodefs.available": "10%"},
    eviction_transition_s=60.0,
)


class Node(World):
    """A World whose runtime measures and whose node has thresholds."""

    runtime: Measured

    def __post_init__(self) -> None:
        super().__post_init__()
        self.runtime = Measured(self.clock)
        self.resources = SETTINGS
        self.gauges = Told()

    def start(self) -> None:
        self.start_agent().gauges = self.gauges

    def conditions(self) -> set[str]:
        node = self.registry.cache.get(kinds.NODE, "", NODE)
        listed = ((node or {}).get("status") or {}).get("conditions") or []
        return {one["type"] for one in listed if one["status"] == "True"}

    async def runs(self, doc: Doc) -> None:
        await self.run_pod(doc)
        name = doc["metadata"]["name"]
        await until(lambda: self.phase(name) == "Running")


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with world_of(Node, tmp_path) as made:
        made.start()
        await until(lambda: made.conditions() == {"Ready"})
        yield made


def asking(name: str, memory: str) -> Doc:
    resources = {"requests": {"memory": memory}}
    return pod(container(name, resources=resources), name=name)


async def test_who_uses_more_than_was_asked_for_is_evicted(node: Node) -> None:
    await node.runs(asking("modest", "500Mi"))
    await node.runs(asking("greedy", "10Mi"))
    node.runtime.memory = {"modest": 400 * MIB, "greedy": 300 * MIB}
    node.gauges.levels["memory.available"] = 50 * MIB
    await node.clock.advance(10.0)
    await until(lambda: node.phase("greedy") == "Failed")
    status = node.status("greedy")
    assert status["reason"] == "Evicted"
    assert status["message"] == (
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. "
        "Container greedy was using 300Mi, request is 10Mi, has larger consumption of memory. "
    )
    [target] = [c for c in status["conditions"] if c["type"] == "DisruptionTarget"]
    assert (target["status"], target["reason"]) == ("True", "TerminationByKubelet")
    assert node.phase("modest") == "Running"
    assert node.runtime.stops[0][1] == 1.0, "a hard threshold leaves a second"
    assert any(said.startswith("Evicted: The node was low") for said in await node.events())


async def test_the_condition_shows_at_once_and_stays_for_a_while(node: Node) -> None:
    node.gauges.levels["memory.available"] = 50 * MIB
    await node.clock.advance(10.0)
    await until(lambda: "MemoryPressure" in node.conditions())
    told = "NodeHasInsufficientMemory: Node node-1 status is now: NodeHasInsufficientMemory"
    assert told in await node.events()
    node.gauges.levels["memory.available"] = 3000 * MIB
    await node.clock.advance(50.0)
    assert "MemoryPressure" in node.conditions()
    await node.clock.advance(20.0)
    await until(lambda: node.conditions() == {"Ready"})


async def test_one_pod_goes_at_a_time_and_critical_ones_never(node: Node) -> None:
    await node.runs(pod(container("small"), name="small"))
    await node.runs(pod(container("large"), name="large"))
    vital = {"metadata": {"name": "system-node-critical"}, "value": 2_000_001_000}
    await node.create(kinds.PRIORITY_CLASS, vital)
    await node.runs(pod(container("vital"), name="vital", priorityClassName="system-node-critical"))
    node.runtime.memory = {"small": MIB, "large": 2 * MIB, "vital": 3 * MIB}
    node.gauges.levels["memory.available"] = 50 * MIB
    await node.clock.advance(10.0)
    await until(lambda: node.phase("large") == "Failed")
    assert node.phase("small") == "Running"
    await node.clock.advance(5.0)
    await until(lambda: node.phase("small") == "Failed")
    await node.clock.advance(30.0)
    assert node.phase("vital") == "Running"


async def test_images_go_before_pods(node: Node) -> None:
    await node.runs(pod())
    node.runtime.present = [Image("idle", ("old:1",), 50 * MIB)]
    await node.clock.advance(300.0)
    await node.clock.advance(300.0)
    node.gauges.levels["nodefs.available"] = 5 * MIB
    await node.clock.advance(10.0)
    assert node.runtime.removed == ["idle"]


async def test_limits_of_local_storage_are_enforced(node: Node) -> None:
    limits = {"limits": {"ephemeral-storage": "10Mi"}}
    await node.runs(pod(container("writer", resources=limits), name="writer"))
    node.runtime.files = {"writer": 9 * MIB}
    await node.clock.advance(10.0)
    assert node.phase("writer") == "Running"
    node.runtime.files = {"writer": 11 * MIB}
    for _ in range(3):  # a look that began before measures what was there then
        await node.clock.advance(10.0)
    await until(lambda: node.phase("writer") == "Failed")
    assert node.status("writer")["message"] == (
        "Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. "
    )


async def test_who_cannot_be_ended_does_not_stand_before_others(node: Node) -> None:
    """A container that ignores its signals is told once; the next pod goes meanwhile."""
    await node.runs(pod(container("stuck"), name="stuck"))
    await node.runs(pod(container("other"), name="other"))
    node.runtime.memory = {"stuck": 2 * MIB, "other": MIB}
    node.runtime.stuck.add("stuck")
    node.gauges.levels["memory.available"] = 50 * MIB
    await node.clock.advance(10.0)
    assert node.phase("other") == "Running"
    await node.clock.advance(40.0)
    await until(lambda: node.phase("other") == "Failed")
    assert node.phase("stuck") == "Running"
    told = [said for said in await node.events() if said.startswith("Evicted")]
    assert len(told) == 2
    node.runtime.freed.set()
    await until(lambda: node.phase("stuck") == "Failed")


async def test_an_evicted_pod_never_starts_again(node: Node) -> None:
    await node.runs(pod(container("main")))
    node.gauges.levels["memory.available"] = 50 * MIB
    await node.clock.advance(10.0)
    await until(lambda: node.phase() == "Failed")
    started = len(node.runtime.started)
    await node.stop_agent()
    node.gauges.levels["memory.available"] = 4000 * MIB
    node.start()
    await node.clock.advance(60.0)
    assert len(node.runtime.started) == started
    assert (node.phase(), node.status()["reason"]) == ("Failed", "Evicted")


async def test_images_that_nobody_uses_go_when_the_disk_fills(node: Node) -> None:
    """From 85 % on, the one that was not used for longest first, until it is 80 %."""
    node.runtime.present = [
        Image("first", ("a:1",), 4 * MIB), Image("second", ("b:1",), 4 * MIB),
        Image("pause", ("pause:3.10",), 4 * MIB, pinned=True),
    ]  # fmt: skip
    await node.clock.advance(300.0)
    assert node.runtime.removed == []
    node.gauges.levels["imagefs.available"] = 14 * MIB
    await node.clock.advance(300.0)
    assert node.runtime.removed == ["first", "second"]
