"""Jobs in a world of tests: documents, and agents that end pods as told."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from longshore.base.clock import rfc3339
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Delete, DeleteOptions, Update

from .world import World

INDEX = "batch.kubernetes.io/job-completion-index"


def job(name: str = "work", /, **spec: Any) -> Doc:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "one"}]}}
    return {"metadata": {"name": name}, "spec": {"template": template, **spec}}


def index_of(pod: Doc) -> int:
    return int((pod["metadata"].get("annotations") or {}).get(INDEX, -1))


def status(world: World, name: str = "work") -> Doc:
    found: Doc = world.get(kinds.JOB, name)["status"]
    return found


def conditions(world: World, name: str = "work") -> dict[str, tuple[str, str]]:
    """Reasons and messages of the conditions that are true."""
    return {
        one["type"]: (one["reason"], one["message"])
        for one in status(world, name).get("conditions") or ()
        if one["status"] == "True"
    }


def live(world: World) -> list[Doc]:
    """Pods that run, or are going to."""
    return [pod for pod in world.pods() if pod["status"]["phase"] in ("Pending", "Running")]


async def end(world: World, pods: Iterable[Doc], code: int = 0, **more: Any) -> None:
    """The pods' containers end, all with one exit code; more is more of their status."""
    now = rfc3339(world.clock.now())
    for pod in pods:
        ended = {"exitCode": code, "finishedAt": now, "reason": "x"}
        container = {
            "name": "c", "image": "one", "imageID": "", "ready": False, "restartCount": 0,
            "state": {"terminated": ended},
        }  # fmt: skip
        phase = "Failed" if code else "Succeeded"
        there = world.get(kinds.POD, pod["metadata"]["name"])
        new = {**there["status"], "phase": phase, "containerStatuses": [container], **more}
        await world.client.write(Update(kinds.POD, {**there, "status": new}, "status"))


async def leave(world: World) -> None:
    """Agents are done with pods that were told to go."""
    for pod in world.cache.all(kinds.POD, "default"):
        metadata = pod["metadata"]
        if "deletionTimestamp" in metadata and pod["spec"].get("nodeName"):
            gone = DeleteOptions(grace_s=0)
            await world.client.write(Delete(kinds.POD, "default", metadata["name"], gone))


async def work(world: World, ends: Callable[[Doc], int] = lambda pod: 0, rounds: int = 50) -> None:
    """Let all pods end, with the code that ends says of each, until none is left to run."""
    for _ in range(rounds):
        await world.quiet()
        pods = live(world)
        if not pods:
            return
        for pod in pods:
            await end(world, [pod], ends(pod))
        await world.clock.advance(1)
