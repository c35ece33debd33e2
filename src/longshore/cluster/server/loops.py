"""The loops of a server: all of them in the only one there is; where several share a store, each
kind of loop runs in the one that holds its Lease."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from longshore.base.chance import Chance
from longshore.base.clock import Clock
from longshore.base.metrics import gauge
from longshore.base.users import loop_user
from longshore.cluster.autoscale.run import Autoscaler
from longshore.cluster.config import ClusterConfig, ClusterPaths
from longshore.cluster.host.machine import api_endpoints, lan_namespace, server_nets
from longshore.cluster.nodes.hollow import HollowMachines
from longshore.cluster.server.presence import LivingServers, Me, Presence
from longshore.cluster.settings import scheduling
from longshore.core.registry.client import Client
from longshore.core.registry.fencing import Fence
from longshore.core.registry.inprocess import InProcess
from longshore.core.registry.registry import Registry
from longshore.machinery.controllers.run_all import ControllerConfig, run_controllers
from longshore.machinery.election.alone import OnlyLeader
from longshore.machinery.election.run import Candidate, Election, Lead
from longshore.machinery.loop.recorder import Journal
from longshore.machinery.network.balancer.run import Balancer
from longshore.machinery.network.uplink import Uplink
from longshore.machinery.scheduler.run import Scheduler

# Upstream's, so that tools which look for a leader find one.
_NAMESPACE, _CONTROLLERS, _SCHEDULER = "kube-system", "kube-controller-manager", "kube-scheduler"


@dataclass(frozen=True, slots=True)
class Work:
    """What loops need besides a registry. beside: what whoever begins to run the controllers does, as
    that client."""

    config: ClusterConfig
    paths: ClusterPaths
    controllers: ControllerConfig
    beside: Callable[[Client], Awaitable[None]]


class Loops:
    """All loops of one server."""

    def __init__(self, work: Work, registry: Registry, clock: Clock, chance: Chance) -> None:
        self._work = work
        self._registry = registry
        self._clock = clock
        self._chance = chance
        self._elections: dict[str, Election] = {}
        self._scheduling: Scheduler | None = None
        sizes = work.config.autoscale
        self._autoscaler = sizes and Autoscaler(work.config, work.paths, sizes, registry)

    async def run(self) -> None:
        """Until cancelled. Everything runs here."""
        journal = Journal(self._client("events"), self._clock)
        async with asyncio.TaskGroup() as crew:
            crew.create_task(journal.run(), name="events")
            crew.create_task(self._controllers(journal), name="controllers")
            crew.create_task(self._scheduler(journal), name="scheduler")
            crew.create_task(self._hold_leases(), name="leases")
            self._beside(crew, journal)

    async def _hold_leases(self) -> None:
        client, identity = self._client("leader-election"), f"server_{self._chance.uuid()}"
        only = OnlyLeader(self._registry.cache, client, self._clock, identity)
        await only.hold(_NAMESPACE, (_CONTROLLERS, _SCHEDULER), self._work.config.election)

    async def beside(self) -> None:
        """Until cancelled. What a cluster's only server on a machine does for it, whoever leads."""
        journal = Journal(self._client("events"), self._clock)
        async with asyncio.TaskGroup() as crew:
            crew.create_task(journal.run(), name="events")
            self._beside(crew, journal)

    def _beside(self, crew: asyncio.TaskGroup, journal: Journal) -> None:
        config, clock = self._work.config, self._clock
        if config.hollow:
            hollow = HollowMachines(config, self._work.paths, self._client("hollow"), clock)
            crew.create_task(hollow.run(), name="hollow nodes")
        else:
            lan = lan_namespace(self._work.paths)
            balancer = Balancer(self._client("balancer"), lan, clock, journal)
            crew.create_task(balancer.run(), name="balancer")
            if config.uplink == "user":
                uplink = Uplink(lan, self._work.paths.uplink, clock)
                crew.create_task(uplink.run(), name="uplink")

    async def stand(self, role: str) -> None:
        """Until cancelled. Controllers and scheduler run while this server, which has that name among
        several, is the one to do so; what is beside them is not a server's there."""
        identity = f"{role}_{self._chance.uuid()}"
        async with asyncio.TaskGroup() as crew:
            for name, lead in ((_CONTROLLERS, self._lead), (_SCHEDULER, self._lead_scheduler)):
                election = self._election(Candidate(_NAMESPACE, name, identity), lead)
                self._elections[name] = election
                crew.create_task(election.run(), name=f"stand for {name}")
            if self._has_pods:
                crew.create_task(self._presence(role).run(), name="presence")

    @property
    def _has_pods(self) -> bool:
        """Whether there are pods that can reach several servers."""
        config = self._work.config
        return bool(api_endpoints(config)) and config.elects

    def _presence(self, role: str) -> Presence:
        config = self._work.config
        if config.standalone:
            (address, _), *_ = api_endpoints(config)
        else:
            (address,) = [one.lan_ip for one in server_nets(config) if one.name == role]
        me = Me(role, address, config.election.lease_s)
        return Presence(me, self._client("presence"), self._clock)

    def metrics(self) -> Iterator[str]:
        """Which Leases are held here, as component-base tells it (leaderelection metrics), and what
        the controllers and the scheduler count."""
        if self._scheduling is not None:
            yield from self._scheduling.metrics()
        yield from self._work.controllers.jobs.lines()
        if self._autoscaler:
            yield from self._autoscaler.metrics.lines()
        yield from self._work.controllers.autoscalers.lines()
        yield from self._work.controllers.queues.lines(self._clock.monotonic())
        yield from self._work.controllers.zones.lines()
        if self._work.controllers.usage is not None:
            yield from self._work.controllers.usage.lines()
        if self._elections:
            yield from gauge(
                "leader_election_master_status",
                "Gauge of if the reporting system is master of the relevant lease, 0 indicates "
                "backup, 1 indicates master. 'name' is the string used to identify the lease. "
                "Please make sure to group by name.",
                ("name",),
                [((name,), float(one.leads)) for name, one in self._elections.items()],
            )

    def _election(self, candidate: Candidate, lead: Lead) -> Election:
        rules = self._work.config.election
        client = self._client("leader-election")
        return Election(candidate, client, self._clock, self._chance, rules, lead)

    async def _lead(self, term: Fence) -> None:
        journal = Journal(self._client("events", term), self._clock)
        async with asyncio.TaskGroup() as crew:
            crew.create_task(journal.run(), name="events of controllers")
            crew.create_task(self._controllers(journal, term), name="controllers")
            if self._has_pods:
                ports = [port for _, port in api_endpoints(self._work.config)]
                living = LivingServers(self._client("servers", term), self._clock, ports[0])
                crew.create_task(living.run(), name="living servers")
            await self._work.beside(self._client("roles", term))

    async def _lead_scheduler(self, term: Fence) -> None:
        journal = Journal(self._client("events", term), self._clock)
        async with asyncio.TaskGroup() as crew:
            crew.create_task(journal.run(), name="events of the scheduler")
            crew.create_task(self._scheduler(journal, term), name="scheduler")

    async def _controllers(self, journal: Journal, term: Fence | None = None) -> None:
        cache, client = self._registry.cache, self._client("controllers", term)
        config = self._work.controllers
        async with asyncio.TaskGroup() as crew:
            controllers = run_controllers(cache, client, self._clock, self._chance, journal, config)
            crew.create_task(controllers, name="controllers")
            if self._autoscaler:
                recorder = journal.recorder("controllers")
                loop = self._autoscaler.loop(client, self._clock, self._chance, recorder)
                crew.create_task(loop.run(), name="autoscaler of nodes")

    async def _scheduler(self, journal: Journal, term: Fence | None = None) -> None:
        cache, client = self._registry.cache, self._client("scheduler", term)
        profiles = scheduling.profiles_of(self._work.paths)
        scheduler = Scheduler(cache, client, self._clock, self._chance, journal, profiles)
        self._scheduling = scheduler
        await scheduler.run()

    def _client(self, loop: str, term: Fence | None = None) -> InProcess:
        return InProcess(self._registry, loop_user(loop), term)
