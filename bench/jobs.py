"""A Job of 10,000 completions, 500 at a time, on hollow nodes: all of it durable, one process."""

from __future__ import annotations

import asyncio
import gc
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.table import Figure
from longshore.base.chance import Chance
from longshore.base.clock import SystemClock
from longshore.base.users import loop_user
from longshore.cluster.process import GC_THRESHOLDS
from longshore.core.objects import kinds
from longshore.core.objects.defaults import default
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Create
from longshore.core.registry.inprocess import InProcess
from longshore.core.registry.registry import Registry
from longshore.core.store.sqlite import SqliteStore
from longshore.machinery.controllers import ControllerConfig, run_controllers
from longshore.machinery.controllers.job.book import Book
from longshore.machinery.controllers.job.facts import NO_INDEX, PodFacts
from longshore.machinery.controllers.job.plan import plan
from longshore.machinery.controllers.job.policies import NONE
from longshore.machinery.controllers.job.status import finished
from longshore.machinery.kubelet.hollow import HollowNodes, hollow_configs
from longshore.machinery.loop.recorder import Journal
from longshore.machinery.scheduler.run import Scheduler

NODES, COMPLETIONS, PARALLELISM, GOAL_S = 100, 10_000, 500, 20
EVENTS = 1000


async def figures() -> list[Figure]:
    gc.set_threshold(*GC_THRESHOLDS)  # as the server process has them
    return [
        await _measured("a Job", {}),
        await _measured("an indexed Job", {"completionMode": "Indexed"}),
        *(_event(running) for running in (1_000, 100_000)),
    ]


def _event(running: int) -> Figure:
    """What a pod's end costs the planner of a Job that runs so many at a time."""
    spec = {"completions": 10 * running, "parallelism": running}
    job = default(kinds.JOB, {"kind": "Job", "apiVersion": "batch/v1", **_job(spec)})
    book = Book("uid")
    for number in range(running):
        book.note(_pod(number))
    begun = time.process_time()
    for number in range(EVENTS):
        book.note(_pod(number, "Succeeded"))
        job = {**job, "status": plan(job, book, list, 1e9).status}
        book.note(_pod(number, "Succeeded", tracked=False))
        book.note(_pod(running + number))
    took = (time.process_time() - begun) / EVENTS * 1e6
    return Figure(f"a pod's end, of {running:,} at a time, to the Job's plan", took, "us")


def _pod(number: int, phase: str = "", *, tracked: bool = True) -> PodFacts:
    return PodFacts(
        f"pod-{number}", f"uid-{number}", phase, False, tracked, True, 0, NO_INDEX, 0, 0, 0.0, NONE
    )


async def _measured(what: str, more: Doc) -> Figure:
    clock, chance = SystemClock(), Chance.seeded(1)
    with TemporaryDirectory(prefix="lb-") as directory:
        registry = Registry(SqliteStore(Path(directory) / "s.db"), clock, chance)
        await registry.open()
        client = InProcess(registry, loop_user("bench"))
        async with asyncio.TaskGroup() as crew:
            tasks = [crew.create_task(registry.run())]
            for name in ("default", "kube-node-lease"):
                await client.write(Create(kinds.NAMESPACE, {"metadata": {"name": name}}))
            tasks += [crew.create_task(part) for part in _parts(registry, client, clock, chance)]
            await clock.sleep(3)
            took = await _run(registry, client, clock, more)
            for task in tasks:
                task.cancel()
        await registry.close()
    note = f"{PARALLELISM} at a time, on {NODES} hollow nodes, whose pods end at once; durable"
    return Figure(f"{what} of {COMPLETIONS:,} completions", took, "s", GOAL_S, note=note)


def _parts(registry: Registry, client: InProcess, clock: SystemClock, chance: Chance) -> list[Any]:
    journal, cache = Journal(client, clock), registry.cache
    names = [f"node-{number}" for number in range(NODES)]
    return [
        journal.run(),
        HollowNodes(hollow_configs(names), client, clock).run(),
        Scheduler(cache, client, clock, chance, journal).run(),
        run_controllers(cache, client, clock, chance, journal, ControllerConfig()),
    ]


async def _run(registry: Registry, client: InProcess, clock: SystemClock, more: Doc) -> float:
    feed = registry.cache.subscribe(kinds.JOB)
    begun = clock.monotonic()
    await client.write(Create(kinds.JOB, _job(more)))
    while True:
        for frame in await feed.next_batch():
            if finished(frame.doc):
                assert frame.doc["status"]["succeeded"] == COMPLETIONS, frame.doc["status"]
                feed.close()
                return clock.monotonic() - begun


def _job(more: Doc) -> Doc:
    container = {"name": "work", "image": "busybox:1.36"}
    template = {
        "metadata": {"annotations": {"longshore.io/hollow-exit": "0"}},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }
    spec = {"completions": COMPLETIONS, "parallelism": PARALLELISM, "template": template}
    return {"metadata": {"name": "work", "namespace": "default"}, "spec": {**spec, **more}}
