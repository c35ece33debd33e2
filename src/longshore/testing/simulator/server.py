"""One life of a simulated server: everything between a start and the next crash."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeAlias, TypeVar

from longshore.base.chance import Chance
from longshore.base.clock import Clock
from longshore.base.users import loop_user
from longshore.cluster.readings.readers import of_hollow_nodes
from longshore.cluster.server.bootstrap import bootstrap
from longshore.core.registry.fencing import Fence
from longshore.core.registry.identity.tokens import NoTokens, Tokens
from longshore.core.registry.inprocess import InProcess
from longshore.core.registry.registry import Registry
from longshore.core.store.protocol import Store
from longshore.doors.kubernetes.door import DoorConfig, KubernetesDoor
from longshore.machinery.controllers.run_all import ControllerConfig, run_controllers
from longshore.machinery.election.plan import Rules
from longshore.machinery.election.run import Candidate, Election
from longshore.machinery.loop.recorder import Journal
from longshore.machinery.scheduler.worker import Worker
from longshore.testing.simulator.machines import Scaling, beside

T = TypeVar("T")
Part: TypeAlias = Coroutine[Any, Any, None]
# The Leases of leaders.
CONTROLLERS, SCHEDULER = "kube-controller-manager", "kube-scheduler"


class Unreachable(ConnectionError):
    """Nobody answers, or whoever was about to answer is gone: what was asked may have been done."""


class SimulatedServer:
    """Registry, door, controllers and scheduler on a store. Not started anew: make another."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        chance: Chance,
        token_keys: Sequence[bytes] = (),
        *,
        role: str = "",
        scaling: Scaling | None = None,
    ) -> None:
        """token_keys: what signs the tokens of service accounts, in PEM form (none: none are issued).
        role: its name among several servers; then its loops run while it holds their Leases. scaling:
        how nodes come and go by themselves."""
        self._role, self._scaling = role, scaling
        self.registry = Registry(store, clock, chance)
        accounts = Tokens(self.registry, clock, chance, token_keys) if token_keys else NoTokens()
        self._readers = of_hollow_nodes(self.registry, clock)
        samples, exposed = self._readers.samples, self._readers.exposed
        door = DoorConfig(tokens=accounts, samples=samples, exposed=exposed)
        self.door = KubernetesDoor(self.registry, clock, chance, door)
        self._clock = clock
        self._chance = chance
        self._serving: set[asyncio.Task[Any]] = set()
        self._life: asyncio.Task[None] | None = None
        self.up = False

    async def start(self, crew: asyncio.TaskGroup) -> None:
        """Return when it serves; it lives until crash(). What ends it otherwise fails the crew."""
        await self.registry.open()
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._life = crew.create_task(self._live(started), name="server")
        await started

    async def crash(self) -> None:
        """Nothing is finished, nobody is told."""
        self.up = False
        assert self._life is not None
        tasks = [self._life, *self._serving]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    async def ask(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Have work done within the server, unless whoever asks leaves. Raises Unreachable if it is
        or goes down."""
        if not self.up:
            raise Unreachable("the server is down")
        loop = asyncio.get_running_loop()
        task, over = loop.create_task(work()), loop.create_future()
        self._serving.add(task)

        def end(_: asyncio.Task[T]) -> None:
            self._serving.discard(task)
            if not over.done():
                over.set_result(None)

        task.add_done_callback(end)
        try:
            await over
        finally:
            task.cancel()
        if task.cancelled():
            raise Unreachable("the server went down")
        return task.result()

    def client(self, name: str, term: Fence | None = None) -> InProcess:
        return InProcess(self.registry, loop_user(name), term)

    def _controllers(self, journal: Journal, term: Fence | None = None) -> Part:
        cache, client = self.registry.cache, self.client("controllers", term)
        samples, exposed = self._readers.samples, self._readers.exposed
        config = ControllerConfig(samples=samples, exposed=exposed)
        loops = run_controllers(cache, client, self._clock, self._chance, journal, config)
        if self._scaling is None:
            return loops
        recorder = journal.recorder("controllers")
        scaling = self._scaling.run(self.registry, client, self._clock, self._chance, recorder)
        return beside(loops, scaling)

    def _scheduler(self, journal: Journal, term: Fence | None = None) -> Part:
        cache, client = self.registry.cache, self.client("scheduler", term)
        recorder = journal.recorder("default-scheduler")
        # Where pods go is to be the same though somebody else makes an object more.
        chance = self._chance.apart("scheduler")
        return Worker(cache, client, self._clock, chance, recorder).run()

    def _alone(self) -> tuple[Part, ...]:
        """The loops of the only server."""
        journal = Journal(self.client("events"), self._clock)
        return journal.run(), self._controllers(journal), self._scheduler(journal)

    def _standing(self) -> tuple[Part, ...]:
        """The loops of one of several servers, each of which runs while its Lease is held."""
        identity, client = f"{self._role}_{self._chance.uuid()}", self.client("leader-election")

        def standing(name: str, work: Callable[[Journal, Fence], Part]) -> Part:
            async def lead(term: Fence) -> None:
                journal = Journal(self.client("events", term), self._clock)
                async with asyncio.TaskGroup() as crew:
                    crew.create_task(journal.run())
                    crew.create_task(work(journal, term))

            me = Candidate("kube-system", name, identity)
            return Election(me, client, self._clock, self._chance, Rules(), lead).run()

        return standing(CONTROLLERS, self._controllers), standing(SCHEDULER, self._scheduler)

    async def _live(self, started: asyncio.Future[None]) -> None:
        parts = (self.door.run(), *(self._standing() if self._role else self._alone()))
        async with asyncio.TaskGroup() as crew:
            crew.create_task(self.registry.run(), name="registry")
            await bootstrap(self.client("bootstrap"), ())
            for part in parts:
                crew.create_task(part)
            self.up = True
            started.set_result(None)
