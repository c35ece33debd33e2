"""Run a workload in this process: a registry on its durable store, and the scheduler beside it.

Pods are created through the whole road of a write, in batches as controllers send them, and count
as bound when a watch has told so. There are no kubelets, as in upstream's benchmark: the nodes are
objects alone."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import uvloop

from longshore.base import process
from longshore.cluster.bench import templates
from longshore.cluster.bench.control_plane import BATCH, ControlPlane, control_plane, scheduler
from longshore.cluster.bench.timing import Result, percentile, rate, slowest_second
from longshore.cluster.bench.workloads import Churn, Template, Workload
from longshore.cluster.config import ClusterError
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Create, Delete, DeleteOptions, Feed

# So long without any pod bound, and the run is given up.
_PATIENCE_S = 30.0


def measured(workload: Workload) -> Result:
    """Run it in a process of its own, so that its memory is its own too."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(run, workload).result()


def run(workload: Workload) -> Result:
    """Run it here. Raises ClusterError if its pods are not bound."""
    try:
        return uvloop.run(_run(workload))
    except ExceptionGroup as errors:
        if errors.split(TimeoutError)[1] is not None:
            raise
        raise ClusterError(
            f"{workload.case}: for {_PATIENCE_S:.0f} s not one more pod was bound"
        ) from None


async def _run(workload: Workload) -> Result:
    async with control_plane(scheduler) as plane:
        return await Bench(plane, workload).run()


class Bench:
    """One workload against a cluster that has nothing yet but a scheduler."""

    def __init__(self, plane: ControlPlane, workload: Workload) -> None:
        self._plane = plane
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
        await self._plane.submit([
            *(Create(kinds.NAMESPACE, {"metadata": {"name": name}})
              for name in (templates.SETUP, templates.MEASURED)),
            Create(kinds.PRIORITY_CLASS, {"metadata": {"name": templates.HIGH}, "value": 10}),
            *(Create(kinds.NODE, node) for node in _nodes(workload)),
        ])  # fmt: skip
        # One at least: with the first pod the scheduler loads what it computes with.
        setup = Pods(self._plane, templates.SETUP)
        await setup.place(max(1, workload.initial), workload.initial_template or workload.template)

    async def _measure(self) -> Result:
        workload, before = self._workload, process.cpu_seconds()
        pods = Pods(self._plane, templates.MEASURED)
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
            await self._plane.submit(made)
            await self._plane.clock.sleep(churn.interval_s)
            if churn.recreated:
                await self._plane.client.submit([_removal(one) for one in made])
            number += 1


class Pods:
    """Pods of one namespace: created as fast as they are taken, until a watch has told that all are
    bound."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self._plane = plane
        self._clock = plane.clock
        self._namespace = namespace
        self._created: dict[str, float] = {}
        self._bound: dict[str, float] = {}

    async def place(self, count: int, template: Template) -> None:
        _, feed = await self._plane.client.list_and_watch(kinds.POD, self._namespace)
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
        for start in range(0, count, BATCH):
            part = [f"pod-{number:06}" for number in range(start, min(count, start + BATCH))]
            work = [self._creation(name, template()) for name in part]
            self._created |= dict.fromkeys(part, self._clock.monotonic())
            await self._plane.submit(work)

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
