"""The simulated cluster: servers that come and go, nodes that vanish and return, and users."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Sequence
from typing import Any

import orjson

from longshore.base.chance import Chance
from longshore.base.users import User
from longshore.doors.kit.http import AnyReply, Reply, Request, SlicedReply
from longshore.machinery.kubelet.config import KubeletConfig
from longshore.machinery.kubelet.hollow.nodes import HollowNodes, hollow_configs
from longshore.testing.loop import LoopClock
from longshore.testing.simulator.machines import Scaling, SimulatedMachines, Sizes
from longshore.testing.simulator.medium import Medium
from longshore.testing.simulator.seats import Moves, Seat
from longshore.testing.simulator.server import SimulatedServer, Unreachable
from longshore.testing.simulator.wire import Way, Weather, Wire

ADMIN = User("admin", ("system:masters", "system:authenticated"))
JSON = "application/json"
# How late the copy of a doubled request may be.
_LATE_S = 5.0


class SimulatedNode:
    """An agent with hollow pods, behind weather of its own."""

    def __init__(self, config: KubeletConfig) -> None:
        self.config = config
        self.weather = Weather()
        self.life: asyncio.Task[None] | None = None
        self.agent: HollowNodes | None = None


class SimulatedCluster:
    """start() it within a task group; then ask() as a user, and break things."""

    def __init__(
        self,
        clock: LoopClock,
        chance: Chance,
        nodes: int,
        servers: int = 1,
        sizes: Sizes | None = None,
    ) -> None:
        """sizes: between which nodes come and go by themselves (None: they do not)."""
        self.clock = clock
        self._chance = chance
        self.medium = Medium(clock, chance)
        self.token_keys: Sequence[bytes] = ()  # of the next server
        self.nodes = {c.node_name: SimulatedNode(c) for c in hollow_configs(_names(nodes))}
        self.outside = Way(Weather(), clock, chance)  # between users and the server
        self._scaling = (
            None if sizes is None else Scaling(SimulatedMachines(self, sizes, clock, self._begin))
        )
        self._made = nodes
        self._booting: list[asyncio.Task[None]] = []
        names, moves = [f"server-{number}" for number in range(servers)], Moves()
        self.seats = {name: Seat(self.medium, moves, name) for name in names}
        self._servers = {name: self._new_server(name) for name in names}
        self._crew: asyncio.TaskGroup | None = None
        self._starting = asyncio.Lock()

    async def start(self, crew: asyncio.TaskGroup) -> None:
        self._crew = crew
        await self.start_server()
        for name in self.nodes:
            self.start_node(name)

    async def stop(self) -> None:
        """End everything, so that the task group of start() can end."""
        for task in self._booting:
            task.cancel()
        for name in self.nodes:
            await self.crash_node(name)
        for server in self._servers.values():
            if server.up:
                await server.crash()

    # -- server ------------------------------------------------------------------------------

    @property
    def server(self) -> SimulatedServer:
        """Any one that is up, if one is."""
        servers = list(self._servers.values())
        return self._chance.choice([one for one in servers if one.up] or servers)

    async def start_server(self) -> None:
        """Start all that are down on what is durable. Two who ask at once do not start one twice."""
        assert self._crew is not None, "start() comes first"
        async with self._starting:
            for name in [name for name, server in self._servers.items() if not server.up]:
                self._servers[name] = server = self._new_server(name)
                await server.start(self._crew)

    async def crash_server(self) -> None:
        """One of them."""
        if (server := self.server).up:
            await server.crash()

    def _new_server(self, name: str) -> SimulatedServer:
        if len(self.seats) == 1:
            return SimulatedServer(
                self.medium, self.clock, self._chance, self.token_keys, scaling=self._scaling
            )
        seat, keys = self.seats[name], self.token_keys
        return SimulatedServer(
            seat, self.clock, self._chance, keys, role=name, scaling=self._scaling
        )

    # -- nodes -------------------------------------------------------------------------------

    def start_node(self, name: str) -> None:
        assert self._crew is not None, "start() comes first"
        node = self.nodes[name]
        if node.life is None:
            way = Way(node.weather, self.clock, self._chance)
            wire = Wire(_Faithful(self).server, f"node-{name}", way)
            node.agent = HollowNodes([node.config], wire, self.clock)
            node.life = self._crew.create_task(node.agent.run(), name=name)

    async def crash_node(self, name: str) -> None:
        """The agent and its pods are gone, as when the power is."""
        life, self.nodes[name].life = self.nodes[name].life, None
        self.nodes[name].agent = None
        if life is not None:
            life.cancel()
            await asyncio.wait((life,))

    def machines(self) -> Sequence[str]:
        """Names of all nodes, those that do not run yet too."""
        return list(self.nodes)

    def plan_machines(self, count: int) -> Sequence[str]:
        """Names of so many more, which do not run yet."""
        self._made += count
        new = hollow_configs(_names(self._made))[-count:]
        self.nodes |= {config.node_name: SimulatedNode(config) for config in new}
        return [config.node_name for config in new]

    async def remove_machine(self, name: str) -> None:
        """End a node and forget it."""
        if name in self.nodes:
            await self.crash_node(name)
            del self.nodes[name]

    def _begin(self, work: Awaitable[None]) -> None:
        async def run() -> None:
            await work

        assert self._crew is not None, "start() comes first"
        self._booting.append(self._crew.create_task(run(), name="machines start"))

    def running(self) -> frozenset[str]:
        """The uids of the pods that run on any machine."""
        agents = (node.agent for node in self.nodes.values() if node.agent is not None)
        return frozenset(uid for agent in agents for uid in agent.running())

    # -- users -------------------------------------------------------------------------------

    async def ask(
        self, method: str, target: str, body: Any = None, content_type: str = JSON
    ) -> Reply:
        """One request through the door, answered whole. Raises Unreachable."""
        await self.outside.cross()
        _, reply = await self.open(method, target, body, content_type)
        await self.outside.cross()
        if isinstance(reply, SlicedReply):
            return Reply(reply.status, b"".join(reply.slices), reply.content_type, reply.headers)
        assert isinstance(reply, Reply), reply
        return reply

    def ask_again(self, method: str, target: str, body: Any, content_type: str) -> None:
        """Let the copy of a request arrive a while from now. Nobody waits for its answer."""
        assert self._crew is not None, "start() comes first"
        self._crew.create_task(self._ask_late(method, target, body, content_type))

    async def _ask_late(self, method: str, target: str, body: Any, content_type: str) -> None:
        await self.clock.sleep(self._chance.uniform(0.0, _LATE_S))
        with contextlib.suppress(Unreachable):
            await self.ask(method, target, body, content_type)

    async def open(
        self, method: str, target: str, body: Any = None, content_type: str = JSON
    ) -> tuple[SimulatedServer, AnyReply]:
        """One request through the door, who answers, and the answer in whatever form. Raises
        Unreachable."""
        path, _, words = target.partition("?")
        query: dict[str, list[str]] = {}
        for word in filter(None, words.split("&")):
            key, _, value = word.partition("=")
            query.setdefault(key, []).append(value)
        data = b"" if body is None else orjson.dumps(body)
        headers = {"content-type": content_type, "accept": JSON, "user-agent": "simulated/1"}
        request = Request(method, path, query, headers, data, ADMIN, target)
        server = self.server
        return server, await server.ask(lambda: server.door.handle(request))


class _Faithful:
    """An agent's choice: the server that answered last, as long as it is up."""

    def __init__(self, cluster: SimulatedCluster) -> None:
        self._cluster = cluster
        self._chosen = cluster.server

    def server(self) -> SimulatedServer:
        if not self._chosen.up:
            self._chosen = self._cluster.server
        return self._chosen


def _names(nodes: int) -> Sequence[str]:
    return [f"node-{number}" for number in range(nodes)]


__all__ = ["SimulatedCluster", "SimulatedNode", "Unreachable"]
