"""A server's parts in this process, for benchmarks: a registry on a durable store and the loops that are
asked for, without a door."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

from longshore.base.chance import Chance
from longshore.base.clock import Clock, SystemClock
from longshore.base.users import loop_user
from longshore.cluster.host.process import tune_interpreter
from longshore.core.objects import kinds
from longshore.core.objects.errors import ApiError
from longshore.core.objects.kinds import Doc
from longshore.core.registry.admission.surroundings import AdmissionConfig
from longshore.core.registry.client import Create, Operation
from longshore.core.registry.inprocess import InProcess
from longshore.core.registry.registry import Registry, RegistryConfig
from longshore.core.store.sqlite import SqliteStore
from longshore.core.watch.cache import Cache
from longshore.machinery.controllers.run_all import ControllerConfig, run_controllers
from longshore.machinery.kubelet.config import KubeletConfig
from longshore.machinery.kubelet.hollow.nodes import HollowNodes
from longshore.machinery.loop.recorder import Journal
from longshore.machinery.scheduler.run import Scheduler

# Writes in one call, as a busy controller sends them.
BATCH = 250
_NAMESPACES = ("default", "kube-node-lease")


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """What a benchmark works with; client writes as one of the server's own loops."""

    registry: Registry
    client: InProcess
    clock: Clock
    chance: Chance
    journal: Journal

    @property
    def cache(self) -> Cache:
        return self.registry.cache

    async def submit(self, work: Sequence[Operation]) -> None:
        """All of it, a batch at a time. Raises the first ApiError among the answers."""
        for start in range(0, len(work), BATCH):
            for answer in await self.client.submit(work[start : start + BATCH]):
                if isinstance(answer, ApiError):
                    raise answer


Part: TypeAlias = Callable[[ControlPlane], Coroutine[Any, Any, None]]
"""A loop of the server, begun."""


def scheduler(plane: ControlPlane) -> Coroutine[Any, Any, None]:
    return Scheduler(plane.cache, plane.client, plane.clock, plane.chance, plane.journal).run()


def controllers(plane: ControlPlane) -> Coroutine[Any, Any, None]:
    return run_controllers(
        plane.cache, plane.client, plane.clock, plane.chance, plane.journal, ControllerConfig()
    )


def hollow_nodes(configs: Iterable[KubeletConfig]) -> Part:
    return lambda plane: HollowNodes(configs, plane.client, plane.clock).run()


@asynccontextmanager
async def control_plane(*parts: Part) -> AsyncIterator[ControlPlane]:
    """A cluster of those parts, besides a registry and the journal of Events; it ends with the block,
    and nothing is left of it."""
    tune_interpreter()  # as the server process has it
    # Without controllers nobody takes a new node's taint off.
    left_out = () if controllers in parts else ("TaintNodesByCondition",)
    config = RegistryConfig(admission=AdmissionConfig(disable=left_out))
    with TemporaryDirectory(prefix="longshore-bench-") as directory:
        clock, chance = SystemClock(), Chance.seeded(1)
        registry = Registry(SqliteStore(Path(directory) / "s.db"), clock, chance, config)
        await registry.open()
        client = InProcess(registry, loop_user("bench"))
        plane = ControlPlane(registry, client, clock, chance, Journal(client, clock))
        async with asyncio.TaskGroup() as crew:
            tasks = [crew.create_task(run()) for run in (registry.run, plane.journal.run)]
            await plane.submit([Create(kinds.NAMESPACE, _named(name)) for name in _NAMESPACES])
            tasks += [crew.create_task(part(plane)) for part in parts]
            yield plane
            for task in reversed(tasks):
                task.cancel()
        await registry.close()


def _named(name: str) -> Doc:
    return {"metadata": {"name": name}}
