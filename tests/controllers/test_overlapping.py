"""Workloads of all kinds whose selectors mean the same pods: none ever takes what is another's, and
all come to rest with as many pods as each of them wants."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.watch.frames import Frame
from longshore.machinery.controllers.common import pods as pod_state
from longshore.machinery.controllers.common.owners import controller, owners
from longshore.machinery.controllers.nodes.plan import NodeRules
from longshore.machinery.controllers.run_all import ControllerConfig

from .world import World, running

LABELS = {"app": "shared"}
NODES = 2
# Nodes are not missed, though nobody renews their leases here.
CALM = ControllerConfig(nodes=NodeRules(grace_s=1e9))


def workload(kind: Kind, size: int) -> Doc:
    """A workload of that kind which selects app=shared, and wants so many pods."""
    pod: Doc = {"containers": [{"name": "c", "image": "one"}]}
    spec: Doc = {"template": {"metadata": {"labels": LABELS}, "spec": pod}}
    spec["selector"] = LABELS if kind is kinds.REPLICATION_CONTROLLER else {"matchLabels": LABELS}
    if kind is kinds.JOB:
        pod["restartPolicy"] = "Never"
        return {**spec, "manualSelector": True, "parallelism": size, "completions": 100}
    if kind is kinds.STATEFUL_SET:
        spec |= {"podManagementPolicy": "Parallel", "serviceName": "none"}
    return spec if kind is kinds.DAEMON_SET else {**spec, "replicas": size}


def size_field(kind: Kind) -> str:
    return "parallelism" if kind is kinds.JOB else "replicas"


WORKLOADS = (
    kinds.REPLICA_SET,
    kinds.DEPLOYMENT,
    kinds.STATEFUL_SET,
    kinds.DAEMON_SET,
    kinds.JOB,
    kinds.REPLICATION_CONTROLLER,
)


@dataclass
class Play:
    """What was done, and what it should come to."""

    world: World
    wanted: dict[tuple[Kind, str], int] = field(default_factory=dict)

    async def make(self, kind: Kind, number: int, size: int) -> None:
        name = f"{kind.name.lower()}-{number}"
        if (kind, name) in self.wanted:
            await self.scale(kind, number, size)
        elif self.world.missing(kind, name):
            doc = {"metadata": {"name": name}, "spec": workload(kind, size)}
            await self.world.create(kind, doc)
            self.wanted[kind, name] = NODES if kind is kinds.DAEMON_SET else size

    async def scale(self, kind: Kind, number: int, size: int) -> None:
        name = f"{kind.name.lower()}-{number}"
        if (kind, name) in self.wanted and kind is not kinds.DAEMON_SET:
            await self.world.patch(kind, name, {"spec": {size_field(kind): size}})
            self.wanted[kind, name] = size

    async def orphan(self, kind: Kind, number: int, size: int) -> None:
        name = f"{kind.name.lower()}-{number}"
        if self.wanted.pop((kind, name), None) is not None:
            way = "Orphan" if size else "Background"
            await self.world.delete(kind, name, propagation=way)

    async def stray(self, kind: Kind, number: int, size: int) -> None:
        for _ in range(size):
            pod = {"containers": [{"name": "c", "image": "one"}]}
            metadata = {"generateName": "stray-", "labels": LABELS}
            await self.world.create(kinds.POD, {"metadata": metadata, "spec": pod})

    async def relabel(self, kind: Kind, number: int, size: int) -> None:
        for pod in self.world.pods()[number : number + size]:
            has = pod["metadata"]["labels"].get("app") == "shared"
            labels = {"app": "taken-out" if has else "shared"}
            name = pod["metadata"]["name"]
            await self.world.patch(kinds.POD, name, {"metadata": {"labels": labels}})

    async def wait(self, kind: Kind, number: int, size: int) -> None:
        await self.world.play(size)


DEEDS: tuple[Callable[..., Any], ...] = (
    Play.make, Play.make, Play.scale, Play.orphan, Play.stray, Play.relabel, Play.wait,
)  # fmt: skip


def fault(frame: Frame) -> str:
    """What must never be in a change of a pod."""
    held = [one["uid"] for one in owners(frame.doc) if one.get("controller")]
    if len(held) > 1:
        return f"{frame.stored.name} has two controllers"
    before = controller(frame.old) if frame.old is not None else None
    if before is not None and held and held != [before["uid"]]:
        return f"{frame.stored.name} was taken from {before['name']}"
    return ""


def held_by(world: World, kind: Kind, name: str) -> int:
    """The pods that it has, those of its ReplicaSets included."""
    uid = world.get(kind, name)["metadata"]["uid"]
    sets = world.cache.indexed(kinds.REPLICA_SET, "owner", uid)
    mine = {uid, *(one["metadata"]["uid"] for one in sets)}
    return sum(
        (ref := controller(pod)) is not None and ref["uid"] in mine
        for pod in world.pods()
        if not pod_state.is_terminal(pod)
    )


async def played(deeds: Iterable[tuple[Callable[..., Any], Kind, int, int]]) -> None:
    async with running(CALM, nodes=NODES) as world:
        feed = world.cache.subscribe(kinds.POD)
        play = Play(world)
        for deed, kind, number, size in deeds:
            await deed(play, kind, number, size)
        await world.play(120)
        faults = [told for frame in feed.take() if (told := fault(frame))]
        assert faults == []
        for (kind, name), size in play.wanted.items():
            assert held_by(world, kind, name) == size, name
        await world.clock.advance(3600)
        await world.play(120)
        changed = [one.type for one in feed.take()]
        assert changed == [], "an hour later nothing comes and goes"
        feed.close()


STEPS = st.tuples(
    st.sampled_from(DEEDS), st.sampled_from(WORKLOADS), st.integers(0, 1), st.integers(0, 3)
)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(STEPS, max_size=12))
def test_nobody_takes_what_is_anothers_and_all_come_to_rest(deeds: list[Any]) -> None:
    asyncio.run(played(deeds))


@pytest.mark.parametrize("way", ["Orphan", "Background"])
async def test_all_kinds_at_once(way: str) -> None:
    """Each kind twice with the same selector, strays between them, and half of them deleted."""
    make: list[Any] = [(Play.make, kind, at, 2) for at in (0, 1) for kind in WORKLOADS]
    gone = [(Play.orphan, kind, 0, int(way == "Orphan")) for kind in WORKLOADS]
    stray = [(Play.stray, kinds.POD, 0, 3), (Play.wait, kinds.POD, 0, 60)]
    await played([*stray, *make, *stray, *gone])
