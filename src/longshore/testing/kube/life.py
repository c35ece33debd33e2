"""One life of a test's server: everything between its start and its end, on a store in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from longshore.base.chance import Chance
from longshore.base.users import loop_user
from longshore.cluster.readings.readers import of_hollow_nodes
from longshore.core.pki.authority import Authority
from longshore.core.registry.admission.surroundings import AdmissionConfig
from longshore.core.registry.identity.bearers import Bearers
from longshore.core.registry.identity.secret_tokens import SecretTokens
from longshore.core.registry.identity.tokens import Tokens
from longshore.core.registry.inprocess import InProcess
from longshore.core.registry.registry import Registry, RegistryConfig
from longshore.core.store.memory import MemoryStore
from longshore.doors.kubernetes.door import DoorConfig, KubernetesDoor
from longshore.machinery.controllers.run_all import ControllerConfig, build
from longshore.machinery.kubelet.config import KubeletConfig
from longshore.machinery.kubelet.hollow.nodes import HollowNodes
from longshore.machinery.loop.loop import Loop
from longshore.machinery.loop.recorder import Journal
from longshore.testing.kube.outside import OneToken
from longshore.testing.kube.settings import ACCOUNTS, SCHEDULER, Settings, check_names
from longshore.testing.loop import LoopClock

# A test has few objects: more workers than that would only have to be started.
_WORKERS = 2


@dataclass(frozen=True, slots=True)
class Keys:
    """What all clusters of a session share: the authority, and the key of tokens in PEM form."""

    authority: Authority
    tokens: Sequence[bytes]


class Life:
    """start() it within a task group; what fails in it later fails the group."""

    def __init__(
        self, store: MemoryStore, clock: LoopClock, settings: Settings, keys: Keys, token: OneToken
    ) -> None:
        self._clock = clock
        self._chance = Chance()
        self._settings = settings
        self._keys = keys
        self.registry = Registry(store, clock, self._chance, _rules(settings))
        accounts = Tokens(self.registry, clock, self._chance, keys.tokens)
        self._secret_tokens = SecretTokens(self.registry.cache, accounts)
        tokens = Bearers(accounts, [self._secret_tokens, token])
        self._readers = of_hollow_nodes(self.registry, clock)
        samples, exposed = self._readers.samples, self._readers.exposed
        door = DoorConfig(tokens=tokens, samples=samples, exposed=exposed)
        self.door = KubernetesDoor(self.registry, clock, self._chance, door)
        self.complete = asyncio.Event()
        """Set when all runs that shall run. Until then no time may be skipped."""
        self._task: asyncio.Task[None] | None = None
        self._crew: asyncio.TaskGroup | None = None

    async def start(self, crew: asyncio.TaskGroup, nodes: Sequence[KubeletConfig]) -> None:
        """Return when everything runs but the scheduler, see complete."""
        await self.registry.open()
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = crew.create_task(self._live(started, nodes), name="a test's server")
        await started

    async def end(self) -> None:
        """Nothing of it runs any more; who still watches has to list again."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        self.registry.cache.replace({}, self.registry.cache.revision)

    def client(self, name: str) -> InProcess:
        return InProcess(self.registry, loop_user(name))

    def add_nodes(self, configs: Sequence[KubeletConfig]) -> None:
        assert self._crew is not None, "start() comes first"
        nodes = HollowNodes(configs, self.client("hollow"), self._clock)
        self._crew.create_task(nodes.run(), name="hollow nodes")

    async def _live(self, started: asyncio.Future[None], nodes: Sequence[KubeletConfig]) -> None:
        journal = Journal(self.client("events"), self._clock)
        async with asyncio.TaskGroup() as crew:
            self._crew = crew
            crew.create_task(self.registry.run(), name="registry")
            crew.create_task(self.door.run(), name="door")
            crew.create_task(journal.run(), name="events")
            for loop in self._controllers(journal):
                crew.create_task(loop.run(), name=f"{loop.name} controller")
            crew.create_task(self._schedule(journal), name=SCHEDULER)
            if nodes:
                self.add_nodes(nodes)
            started.set_result(None)

    def _controllers(self, journal: Journal) -> list[Loop[Any]]:
        cache, clock, chance = self.registry.cache, self._clock, self._chance
        config = ControllerConfig(
            authority=self._keys.authority,
            sign=self._secret_tokens.issue,
            samples=self._readers.samples,
            exposed=self._readers.exposed,
        )
        recorder = journal.recorder("controllers")
        loops = build(cache, self.client("controllers"), clock, chance, recorder, config)
        check_names(self._settings.controllers, [loop.name for loop in loops])
        chosen = [loop for loop in loops if self._settings.runs(loop.name)]
        return [Loop(one.reconciler, cache, clock, chance, workers=_WORKERS) for one in chosen]

    async def _schedule(self, journal: Journal) -> None:
        if self._settings.runs(SCHEDULER):
            # It takes NumPy, and so as long as half of all the rest: a test's first steps do not wait.
            room = await asyncio.to_thread(import_module, "longshore.machinery.scheduler.worker")
            cache, client = self.registry.cache, self.client("scheduler")
            recorder = journal.recorder("default-scheduler")
            worker = room.Worker(cache, client, self._clock, self._chance, recorder)
            self.complete.set()
            await worker.run()
        self.complete.set()


def _rules(settings: Settings) -> RegistryConfig:
    """Where nobody makes default accounts, pods are let in without: else there could be none."""
    if settings.runs(ACCOUNTS):
        return RegistryConfig()
    return RegistryConfig(admission=AdmissionConfig(disable=("ServiceAccount",)))
