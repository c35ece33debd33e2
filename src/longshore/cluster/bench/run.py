"""Run a workload in this process: a registry on its durable store, and the scheduler beside it.

Pods are created through the whole road of a write, in batches as controllers send them, and count
as bound when a watch has told so. There are no kubelets, as in upstream's benchmark: the nodes are
objects alone."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import uvloop

from longshore.base import process
from longshore.base.chance import Chance
from longshore.base.clock import Clock, SystemClock
from longshore.base.users import loop_user
from longshore.cluster.bench import templates
from longshore.cluster.bench.timing import Result, percentile, rate, slowest_second
from longshore.cluster.bench.workloads import Churn, Template, Workload
from longshore.cluster.config import ClusterError
from longshore.cluster.process import GC_THRESHOLDS
from longshore.core.objects import kinds
from longshore.core.objects.errors import ApiError
from longshore.core.objects.kinds import Doc
from longshore.core.registry.admission.surroundings import AdmissionConfig
from longshore.core.registry.client import Create, Delete, DeleteOptions, Feed
from longshore.core.registry.inprocess import InProcess
from longshore.core.registry.registry import Registry, RegistryConfig
from longshore.core.store.sqlite import SqliteStore
from longshore.machinery.loop.recorder import Journal
from longshore.machinery.scheduler.run import Scheduler

T = TypeVar("T")

# Creations in one call, as a busy controller sends them.
BATCH = 250
# So long without any pod bound, and the run is given up.
_PATIENCE_S = 30.0


def measured(workload: Workload) -> Result:
    """Run it in a process of its own, so that its memory is its own too."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(run, workload).result()


def run(workload: Workload) -> Result:
    """Run it here. Raises ClusterError if its pods are not bound."""
    gc.set_threshold(*GC_THRESHOLDS)  # as the server process has them
    try:
        return uvloop.run(_run(workload))
    except ExceptionGroup as errors:
        if errors.split(TimeoutError)[1] is not None:
            raise
        raise ClusterError(
            f"{workload.case}: for {_PATIENCE_S:.0f} s not one more pod was bound"
        ) from None


async def _run(workload: Workload) -> Result:
    clock, chance = SystemClock(), Chance.seeded(1)
    with TemporaryDirectory(prefix="longshore-bench-") as directory:
        # There is no controller here that takes a new node's taint off.
        config = RegistryConfig(admission=AdmissionConfig(disable=("TaintNodesByCondition",)))
        registry = Registry(SqliteStore(Path(directory) / "s.db"), clock, chance, config)
        await registry.open()
        client = InProcess(registry, loop_user("bench"))
        journal = Journal(client, clock)
        scheduler = Scheduler(registry.cache, client, clock, chance, journal)
        async with asyncio.TaskGroup() as crew:
            tasks = [crew.create_task(run()) for run in (registry.run, journal.run, scheduler.run)]
            result = await Bench(client, clock, workload).run()
            for task in reversed(tasks):
                task.cancel()
        await registry.close()
    return result


class Bench:
    """One workload against a cluster that has nothing yet but a scheduler."""

    def __init__(self, client: InProcess, clock: Clock, workload: Workload) -> None:
        self._client = client
        self._clock = clock
        self._workload = workload

    async def run(self) -> Result:
        await self._prepare()
        gc.collect()
        gc.freeze()
        churn = self._workload.churn
        async with asyncio.TaskGroup() as crew:
            churning = crew.create_task(self._churn(churn)) if churn else None
            result = await self._measure()
            if churning:
                churning.cancel()
        return result

    async def _prepare(self) -> None:
        workload = self._workload
        await self._create([
            *(Create(kinds.NAMESPACE, {"metadata": {"name": name}})
              for name in (templates.SETUP, templates.MEASURED, "default")),
            Create(kinds.PRIORITY_CLASS, {"metadata": {"name": templates.HIGH}, "value": 10}),
            *(Create(kinds.NODE, node) for node in _nodes(workload)),
        ])  # fmt: skip
        # One at least: with the first pod the scheduler loads what it computes with.
        setup = Pods(self._client, self._clock, templates.SETUP)
        await setup.place(max(1, workload.initial), workload.initial_template or workload.template)

    async def _measure(self) -> Result:
        workload, before = self._workload, process.cpu_seconds()
        pods = Pods(self._client, self._clock, templates.MEASURED)
        await pods.place(workload.pods, workload.template)
        spent = process.cpu_seconds() - before
        bound, waits = pods.bound(), pods.waits()
        return Result(
            case=workload.case,
            nodes=workload.nodes,
            pods=workload.pods,
            pods_per_s=rate(bound),
            slowest_second=slowest_second(bound),
            p50_ms=percentile(waits, 0.5) * 1e3,
            p99_ms=percentile(waits, 0.99) * 1e3,
            cpu_us=spent / workload.pods * 1e6,
            rss_mb=process.resident_bytes() / 2**20,
        )

    async def _churn(self, churn: Churn) -> None:
        number = 0
        while True:
            made = _churned(churn, number)
            await self._create(made)
            await self._clock.sleep(churn.interval_s)
            if churn.recreated:
                await self._client.submit([_removal(one) for one in made])
            number += 1

    async def _create(self, operations: Sequence[Create]) -> None:
        for part in _batches(operations):
            _check(await self._client.submit(part))


class Pods:
    """Pods of one namespace: created as fast as they are taken, until a watch has told that all are
    bound."""

    def __init__(self, client: InProcess, clock: Clock, namespace: str) -> None:
        self._client = client
        self._clock = clock
        self._namespace = namespace
        self._created: dict[str, float] = {}
        self._bound: dict[str, float] = {}

    async def place(self, count: int, template: Template) -> None:
        _, feed = await self._client.list_and_watch(kinds.POD, self._namespace)
        async with asyncio.TaskGroup() as crew:
            crew.create_task(self._create(count, template))
            while len(self._bound) < count:
                await self._hear(feed)
        feed.close()

    def bound(self) -> list[float]:
        """When each was seen bound, in seconds since the first creation, in order."""
        begun = min(self._created.values())
        return sorted(at - begun for at in self._bound.values())

    def waits(self) -> list[float]:
        """From creation to binding, in seconds, in order."""
        return sorted(at - self._created[name] for name, at in self._bound.items())

    async def _create(self, count: int, template: Template) -> None:
        names = [f"pod-{number:06}" for number in range(count)]
        for part in _batches(names):
            work = [self._creation(name, template()) for name in part]
            self._created |= dict.fromkeys(part, self._clock.monotonic())
            _check(await self._client.submit(work))

    def _creation(self, name: str, doc: Doc) -> Create:
        doc["metadata"] |= {"name": name, "namespace": self._namespace}
        return Create(kinds.POD, doc)

    async def _hear(self, feed: Feed) -> None:
        before = len(self._bound)
        async with asyncio.timeout(_PATIENCE_S):
            while len(self._bound) == before:
                for change in await feed.next_batch():
                    self._see(change.doc)

    def _see(self, doc: Doc) -> None:
        if doc["spec"].get("nodeName"):
            self._bound.setdefault(doc["metadata"]["name"], self._clock.monotonic())


def _nodes(workload: Workload) -> Iterator[Doc]:
    if workload.named_node:
        yield templates.node(templates.NAMED_NODE, pods="90000")
    zones = workload.zones or ("",)
    for number in range(workload.nodes):
        yield templates.node(f"scheduler-perf-{number}", zones[number % len(zones)])


def _churned(churn: Churn, number: int) -> list[Create]:
    pod = churn.pod()
    pod["metadata"] |= {"name": f"churn-{number}", "namespace": "default"}
    made = [Create(kinds.POD, pod)]
    if churn.recreated:
        service = {
            "metadata": {"name": f"churn-{number}", "namespace": "default"},
            "spec": {"selector": {"app": "foo"}, "ports": [{"port": 8080}]},
        }
        made += [
            Create(kinds.NODE, templates.node(f"churn-{number}", pods="0")),
            Create(kinds.SERVICE, service),
        ]
    return made


def _removal(made: Create) -> Delete:
    metadata = made.doc["metadata"]
    options = DeleteOptions(grace_s=0)
    return Delete(made.kind, metadata.get("namespace", ""), metadata["name"], options)


def _check(answers: Sequence[Doc | ApiError]) -> None:
    for answer in answers:
        if isinstance(answer, ApiError):
            raise answer


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[start : start + BATCH] for start in range(0, len(items), BATCH))
