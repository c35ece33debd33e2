"""A provider of simulated machines: what an autoscaler of nodes asks for starts after a while, as on real ones."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from longshore.base.chance import Chance
from longshore.base.clock import Clock
from longshore.cluster.autoscale import trial
from longshore.cluster.autoscale.look import Looking
from longshore.cluster.autoscale.run import evicting
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Client
from longshore.core.registry.registry import Registry
from longshore.machinery.controllers.nodegroups.hands import Hands
from longshore.machinery.controllers.nodegroups.metrics import ScalingMetrics
from longshore.machinery.controllers.nodegroups.protocol import NodeGroup, Tools
from longshore.machinery.controllers.nodegroups.rules import ScalingRules
from longshore.machinery.controllers.nodegroups.run import NodeGroups
from longshore.machinery.kubelet.hollow.nodes import HOLLOW_FACTS, hollow_configs
from longshore.machinery.kubelet.node.plan import node_doc, node_status
from longshore.machinery.loop.loop import Loop
from longshore.machinery.loop.recorder import Recorder
from longshore.machinery.scheduler.profile import PROFILES

GROUP = "simulated"
# How long a machine takes to start.
_BOOT_S = 20.0


@dataclass(frozen=True, slots=True)
class Sizes:
    """The fewest and the most nodes that there may be."""

    least: int
    most: int


class Site(Protocol):
    """Where machines are: a simulated cluster."""

    def machines(self) -> Sequence[str]:
        """Names of all that are wanted."""

    def plan_machines(self, count: int) -> Sequence[str]:
        """Names of so many more, which do not run yet."""

    def start_node(self, name: str) -> None:
        """Let a planned one run, if it is still wanted."""

    async def remove_machine(self, name: str) -> None:
        """End one and forget it."""


class SimulatedMachines:
    """The Provider. begin has something done while the cluster is there."""

    def __init__(
        self, site: Site, sizes: Sizes, clock: Clock, begin: Callable[[Awaitable[None]], None]
    ) -> None:
        self._site, self._sizes, self._clock, self._begin = site, sizes, clock, begin

    async def groups(self) -> Sequence[NodeGroup]:
        names = tuple(self._site.machines())
        return [NodeGroup(GROUP, self._sizes.least, self._sizes.most, names)]

    async def increase(self, group: str, count: int) -> None:
        self._begin(self._boot(self._site.plan_machines(count)))

    async def _boot(self, names: Sequence[str]) -> None:
        await self._clock.sleep(_BOOT_S)
        for name in names:
            if name in self._site.machines():
                self._site.start_node(name)

    async def delete(self, nodes: Sequence[str]) -> None:
        for name in nodes:
            await self._site.remove_machine(name)

    def template(self, group: str) -> Doc | None:
        (config,) = hollow_configs(["template"])
        status = node_status(config, HOLLOW_FACTS, (), {}, 0.0)
        return {**node_doc(config, HOLLOW_FACTS), "status": status}


class Scaling:
    """What the servers of one cluster need to run its autoscaler."""

    def __init__(self, machines: SimulatedMachines, rules: ScalingRules | None = None) -> None:
        self._machines, self._rules = machines, rules or ScalingRules()

    async def run(
        self, registry: Registry, client: Client, clock: Clock, chance: Chance, recorder: Recorder
    ) -> None:
        """Until cancelled."""
        look = Looking(registry.cache, clock, PROFILES, trial)
        tools = Tools(self._machines, look, evicting(registry, clock))
        hands = Hands(registry.cache, client, clock, recorder, tools, self._rules, ScalingMetrics())
        await Loop(NodeGroups(hands), registry.cache, clock, chance).run()


async def beside(one: Awaitable[None], other: Awaitable[None]) -> None:
    """Both, until cancelled."""
    async with asyncio.TaskGroup() as crew:
        for work in (one, other):
            crew.create_task(_awaited(work))


async def _awaited(work: Awaitable[None]) -> None:
    await work
