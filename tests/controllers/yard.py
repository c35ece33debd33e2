"""A provider of machines for tests: hollow nodes that come and go, in groups of several sizes, some of which
never start."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from longshore.base.chance import Chance
from longshore.base.users import loop_user
from longshore.cluster.autoscale import trial
from longshore.cluster.autoscale.look import Looking
from longshore.cluster.autoscale.run import evicting
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.inprocess import InProcess
from longshore.machinery.controllers.nodegroups.hands import Hands
from longshore.machinery.controllers.nodegroups.metrics import ScalingMetrics
from longshore.machinery.controllers.nodegroups.protocol import (
    NodeGroup,
    ProviderFailure,
    Tools,
)
from longshore.machinery.controllers.nodegroups.rules import ScalingRules
from longshore.machinery.controllers.nodegroups.run import NodeGroups
from longshore.machinery.controllers.run_all import ControllerConfig
from longshore.machinery.kubelet.config import KubeletConfig
from longshore.machinery.kubelet.hollow.nodes import HOLLOW_FACTS, HollowNodes, hollow_configs
from longshore.machinery.kubelet.node.plan import node_doc, node_status
from longshore.machinery.loop.loop import Loop
from longshore.machinery.loop.recorder import Journal
from longshore.machinery.scheduler.profile import PROFILES

from .world import World, running


@dataclass
class Kind:
    """What machines of a group are, and how many there may be. broken: why it gives none; boots: whether
    machines ever start."""

    least: int = 1
    most: int = 6
    capacity: Mapping[str, str] = field(
        default_factory=lambda: {"cpu": "4", "memory": "16Gi", "pods": "110"}
    )
    labels: Mapping[str, str] = field(default_factory=dict)
    broken: str = ""
    boots: bool = True


class Yard:
    """The Provider. history: sizes of the whole after each change."""

    def __init__(self, world: World, kinds_: Mapping[str, Kind], boot_s: float) -> None:
        self.kinds = kinds_
        self._world, self._boot_s = world, boot_s
        self._groups: dict[str, list[str]] = {name: [] for name in kinds_}
        self._configs: dict[str, KubeletConfig] = {}
        self._serial = 0
        self._booted: list[KubeletConfig] = []
        client = InProcess(world.registry, loop_user("hollow"))
        self.nodes = HollowNodes([], client, world.clock, changing=True)
        self.crew: asyncio.TaskGroup | None = None
        self.booting: list[asyncio.Task[None]] = []
        self.history: list[int] = []
        self.calls: list[str] = []

    async def start(self, sizes: Mapping[str, int]) -> None:
        """With so many machines that run."""
        for group, size in sizes.items():
            self._booted += [self._new(group) for _ in range(size)]
        await self.nodes.become(self._booted)

    async def groups(self) -> Sequence[NodeGroup]:
        return [
            NodeGroup(name, kind.least, kind.most, tuple(self._groups[name]))
            for name, kind in self.kinds.items()
        ]

    async def increase(self, group: str, count: int) -> None:
        self.calls.append(f"increase {group} {count}")
        if why := self.kinds[group].broken:
            raise ProviderFailure(why)
        new = [self._new(group) for _ in range(count)]
        self._note()
        if self.kinds[group].boots:
            assert self.crew is not None
            self.booting.append(self.crew.create_task(self._boot(new)))

    async def _boot(self, new: Sequence[KubeletConfig]) -> None:
        await self._world.clock.sleep(self._boot_s)
        self._booted += [one for one in new if one.node_name in self._configs]
        await self.nodes.become(self._booted)

    async def delete(self, nodes: Sequence[str]) -> None:
        self.calls.append(f"delete {' '.join(nodes)}")
        for names in self._groups.values():
            names[:] = [name for name in names if name not in nodes]
        for name in nodes:
            self._configs.pop(name, None)
        self._booted = [one for one in self._booted if one.node_name not in nodes]
        self._note()
        await self.nodes.become(self._booted)

    def template(self, group: str) -> Doc | None:
        kind = self.kinds[group]
        config = replace(_config("template", 0), capacity=kind.capacity, labels=kind.labels)
        status = node_status(config, HOLLOW_FACTS, (), {}, 0.0)
        return {**node_doc(config, HOLLOW_FACTS), "status": status}

    def machines(self) -> list[str]:
        """Names of all of them."""
        return [name for names in self._groups.values() for name in names]

    def _new(self, group: str) -> KubeletConfig:
        self._serial += 1
        kind, name = self.kinds[group], f"{group}-{self._serial}"
        made = replace(_config(name, self._serial), capacity=kind.capacity, labels=kind.labels)
        self._groups[group].append(name)
        self._configs[name] = made
        return made

    def _note(self) -> None:
        self.history.append(sum(map(len, self._groups.values())))


def _config(name: str, number: int) -> KubeletConfig:
    return hollow_configs([f"other-{at}" for at in range(number)] + [name])[-1]


@dataclass
class Scaled:
    """A world with an autoscaler of nodes."""

    world: World
    yard: Yard
    metrics: ScalingMetrics
    crew: asyncio.TaskGroup
    hands: Hands
    loop: asyncio.Task[None] | None = None
    started: int = 0

    def names(self) -> list[str]:
        return sorted(one["metadata"]["name"] for one in self.world.cache.all(kinds.NODE))

    def placed(self) -> dict[str, int]:
        """How many pods each node has."""
        found: dict[str, int] = {}
        for pod in self.world.pods():
            name = pod["spec"].get("nodeName", "")
            found[name] = found.get(name, 0) + 1
        return found

    async def after(self, seconds: float) -> None:
        """Let so much time pass, and come to rest. Nodes' agents speak every ten seconds."""
        clock = self.world.clock
        end = clock.monotonic() + seconds
        while (left := end - clock.monotonic()) > 0:
            await clock.advance(min(left, 5.0))
            await self.world.quiet()

    def start(self, hands: Hands | None = None) -> None:
        """Run an autoscaler, as one that has just started."""
        self.started += 1
        loop: Loop[str] = Loop(
            NodeGroups(hands or self.hands), self.world.cache, self.world.clock, Chance.seeded(5)
        )
        self.loop = self.crew.create_task(loop.run())

    async def crash(self) -> None:
        """End the autoscaler wherever it is."""
        assert self.loop is not None
        self.loop.cancel()
        await asyncio.wait([self.loop])


@asynccontextmanager
async def scaled(
    sizes: Mapping[str, int] | None = None,
    kinds_: Mapping[str, Kind] | None = None,
    rules: ScalingRules | None = None,
    boot_s: float = 20.0,
    *,
    asleep: bool = False,
) -> AsyncIterator[Scaled]:
    """At rest, with machines that run. asleep: the autoscaler is yet to be started."""
    async with running(ControllerConfig(), nodes=0) as world, asyncio.TaskGroup() as crew:
        await world.create(kinds.NAMESPACE, {"metadata": {"name": "kube-system"}})
        yard = Yard(world, kinds_ or {"local": Kind()}, boot_s)
        yard.crew = crew
        tasks: list[asyncio.Task[Any]] = [crew.create_task(yard.nodes.run())]
        await yard.start(sizes or {"local": 2})
        client, metrics = InProcess(world.registry, loop_user("nodegroups")), ScalingMetrics()
        journal = Journal(client, world.clock)
        tasks.append(crew.create_task(journal.run()))
        look = Looking(world.cache, world.clock, PROFILES, trial)
        tools = Tools(yard, look, evicting(world.registry, world.clock))
        hands = Hands(
            world.cache, client, world.clock, journal.recorder("test"), tools,
            rules or ScalingRules(), metrics,
        )  # fmt: skip
        made = Scaled(world, yard, metrics, crew, hands)
        if not asleep:
            made.start()
        await world.quiet()
        try:
            yield made
        finally:
            for task in (*tasks, *yard.booting, made.loop):
                if task is not None:
                    task.cancel()
