"""A Job of 10,000 completions, 500 at a time, on hollow nodes: all of it durable, one process."""

from __future__ import annotations

import time

from bench.table import Figure
from longshore.cluster.bench.control_plane import (
    ControlPlane,
    control_plane,
    controllers,
    hollow_nodes,
    scheduler,
)
from longshore.core.objects import kinds
from longshore.core.objects.defaults import default
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Create
from longshore.machinery.controllers.job.book import Book
from longshore.machinery.controllers.job.facts import NO_INDEX, PodFacts
from longshore.machinery.controllers.job.plan import plan
from longshore.machinery.controllers.job.policies import NONE
from longshore.machinery.controllers.job.status import finished
from longshore.machinery.kubelet.hollow.nodes import hollow_configs

NODES, COMPLETIONS, PARALLELISM, GOAL_S = 100, 10_000, 500, 20
EVENTS = 1000


async def figures() -> list[Figure]:
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
    nodes = hollow_configs([f"node-{number}" for number in range(NODES)])
    async with control_plane(hollow_nodes(nodes), scheduler, controllers) as plane:
        await plane.clock.sleep(3)
        took = await _run(plane, more)
    note = f"{PARALLELISM} at a time, on {NODES} hollow nodes, whose pods end at once; durable"
    return Figure(f"{what} of {COMPLETIONS:,} completions", took, "s", GOAL_S, note=note)


async def _run(plane: ControlPlane, more: Doc) -> float:
    feed, begun = plane.cache.subscribe(kinds.JOB), plane.clock.monotonic()
    await plane.client.write(Create(kinds.JOB, _job(more)))
    while True:
        for frame in await feed.next_batch():
            if finished(frame.doc):
                assert frame.doc["status"]["succeeded"] == COMPLETIONS, frame.doc["status"]
                feed.close()
                return plane.clock.monotonic() - begun


def _job(more: Doc) -> Doc:
    container = {"name": "work", "image": "busybox:1.36"}
    template = {
        "metadata": {"annotations": {"longshore.io/hollow-exit": "0"}},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }
    spec = {"completions": COMPLETIONS, "parallelism": PARALLELISM, "template": template}
    return {"metadata": {"name": "work", "namespace": "default"}, "spec": {**spec, **more}}
