"""Hollow pods and nodes misbehave as they are told, when they are told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.hollow import ANNOTATION
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Delete, DeleteOptions, Patch
from longshore.machinery.kubelet.config import LEASE_RENEW_S

from .docs import container, pod
from .test_hollow_nodes import run_pods, start
from .world import World, until, world

NODE = "hollow-0"


@pytest.fixture
async def w(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        start(made)
        await until(lambda: made.registry.cache.get(kinds.LEASE, "kube-node-lease", "hollow-2"))
        yield made


def told(says: str, name: str = "p", **spec: Any) -> Doc:
    doc = pod(name=name, **spec)
    return {**doc, "metadata": {**doc["metadata"], "annotations": {ANNOTATION: says}}}


async def tell(w: World, says: str | None, name: str = "p") -> None:
    patch = {"metadata": {"annotations": {ANNOTATION: says}}}
    await w.client.write(Patch(kinds.POD, "shop", name, patch))


async def tell_node(w: World, says: str | None) -> None:
    patch = {"metadata": {"annotations": {ANNOTATION: says}}}
    await w.client.write(Patch(kinds.NODE, "", NODE, patch))


def restarts(w: World) -> int:
    count: int = w.container(pod="p").get("restartCount", 0)
    return count


def ended(w: World) -> tuple[int, str]:
    """Exit code and reason of the last end."""
    status = w.container(pod="p")
    found = status["state"].get("terminated") or status["lastState"].get("terminated") or {}
    return found.get("exitCode", -1), found.get("reason", "")


async def test_a_pod_starts_late(w: World) -> None:
    await run_pods(w, told("start after 30"))
    await until(lambda: w.waiting(pod="p") == "ContainerCreating")
    await w.clock.advance(29)
    assert w.phase("p") == "Pending"
    await w.clock.advance(1.1)
    await until(lambda: w.phase("p") == "Running")


async def test_a_pod_that_is_to_start_late_can_be_deleted_before(w: World) -> None:
    await run_pods(w, told("start after 3000"))
    await until(lambda: w.waiting(pod="p") == "ContainerCreating")
    await w.client.write(Delete(kinds.POD, "shop", "p"))
    await until(lambda: w.gone("p"))


async def test_images_are_to_be_had_after_so_many_tries(w: World) -> None:
    await run_pods(w, told("pull fails 2 times"))
    await until(lambda: w.waiting(pod="p") == "ErrImagePull")
    await w.clock.advance(11)
    await until(lambda: w.waiting(pod="p") == "ErrImagePull")
    await w.clock.advance(18)
    assert w.phase("p") == "Pending"
    await w.clock.advance(2)
    await until(lambda: w.phase("p") == "Running")


async def test_readiness_comes_and_goes(w: World) -> None:
    await run_pods(w, told("unready for 10"), told("unready after 10", "q"))
    await until(lambda: w.phase("p") == w.phase("q") == "Running")
    await until(lambda: w.ready("q"))
    assert not w.ready("p")
    await w.clock.advance(10.1)
    await until(lambda: w.ready("p") and not w.ready("q"))
    await tell(w, None, "q")
    await until(lambda: w.ready("q"))
    await tell(w, "unready", "q")
    await until(lambda: not w.ready("q"))


async def test_a_container_that_does_not_live_is_restarted_with_back_off(w: World) -> None:
    await run_pods(w, told("unlive after 20"))
    await until(lambda: w.ready("p"))
    await w.clock.advance(20.1)
    await until(lambda: ended(w) == (143, "Error"))
    await until(lambda: restarts(w) == 1 and w.ready("p"))
    await w.clock.advance(20.1)
    await until(lambda: w.waiting(pod="p") == "CrashLoopBackOff")


@pytest.mark.parametrize(
    ("says", "code", "reason", "phase"),
    [
        ("oom after 5", 137, "OOMKilled", "Failed"),
        ("exit 3 after 5", 3, "Error", "Failed"),
        ("exit 0 after 5", 0, "Completed", "Succeeded"),
    ],
)
async def test_containers_end(w: World, says: str, code: int, reason: str, phase: str) -> None:
    await run_pods(w, told(says, restartPolicy="Never"))
    await until(lambda: w.phase("p") == "Running")
    await w.clock.advance(5.1)
    await until(lambda: w.phase("p") == phase)
    assert ended(w) == (code, reason)


async def test_a_running_pod_crashes_on_command(w: World) -> None:
    await run_pods(w, told("start after 0"))
    await until(lambda: w.phase("p") == "Running")
    await tell(w, "exit 1 after 3600")
    await w.clock.advance(1)
    assert restarts(w) == 0
    await tell(w, "exit 1")
    await until(lambda: ended(w) == (1, "Error"))
    await tell(w, None)
    await w.clock.advance(60)
    await until(lambda: w.ready("p"))


@pytest.mark.parametrize(("says", "after"), [("stop after 20", 20), ("stop after 40", 30)])
async def test_a_container_takes_its_time_to_end_but_not_more_than_its_grace(
    w: World, says: str, after: int
) -> None:
    await run_pods(w, told(says))
    await until(lambda: w.phase("p") == "Running")
    await w.client.write(Delete(kinds.POD, "shop", "p"))
    await w.clock.advance(after - 1)
    assert not w.gone("p")
    await w.clock.advance(1.2)
    await until(lambda: w.gone("p"))


async def test_one_that_cannot_be_ended_goes_by_force_alone(w: World) -> None:
    await run_pods(w, told("stop never", terminationGracePeriodSeconds=1))
    await until(lambda: w.phase("p") == "Running")
    await w.client.write(Delete(kinds.POD, "shop", "p"))
    await w.clock.advance(3600)
    assert not w.gone("p")
    await w.client.write(Delete(kinds.POD, "shop", "p", DeleteOptions(grace_s=0)))
    await until(lambda: w.gone("p"))


async def test_init_containers_and_jobs_go_on_as_ever(w: World) -> None:
    await run_pods(w, told("unready", inits=[container("first")]))
    await until(lambda: w.phase("p") == "Running")
    assert not w.ready("p")


async def renewed(w: World) -> str:
    lease = await w.client.get(kinds.LEASE, "kube-node-lease", NODE)
    when: str = lease["spec"]["renewTime"]
    return when


async def test_a_silent_node_is_not_heard_of_until_it_is_told_to_speak(w: World) -> None:
    await tell_node(w, "silent")
    before = await renewed(w)
    await run_pods(w, told("start after 0"))
    await w.clock.advance(60)
    assert await renewed(w) == before
    assert w.phase("p") == "Pending"
    await tell_node(w, None)
    await until(lambda: w.phase("p") == "Running")
    await w.clock.advance(LEASE_RENEW_S + 1)
    assert await renewed(w) > before


async def test_a_flapping_node_speaks_again_and_again(w: World) -> None:
    await tell_node(w, "silent for 60 every 100")
    await run_pods(w, told("start after 0"))
    await w.clock.advance(59)
    assert w.phase("p") == "Pending"
    await w.clock.advance(2)
    await until(lambda: w.phase("p") == "Running")
    await w.clock.advance(41)
    await tell(w, "unready")
    await w.clock.advance(50)
    assert w.ready("p"), "a silent node has told something"
    await w.clock.advance(10)
    await until(lambda: not w.ready("p"))


async def test_a_slow_node_begins_later_and_stays_alive(w: World) -> None:
    await tell_node(w, "slow 25")
    before = await renewed(w)
    await run_pods(w, told("start after 0"))
    await w.clock.advance(24)
    assert w.phase("p") == "Pending"
    assert await renewed(w) > before
    await w.clock.advance(2)
    await until(lambda: w.phase("p") == "Running")


def pressed(w: World) -> set[str]:
    node = w.registry.cache.get(kinds.NODE, "", NODE)
    conditions = ((node or {}).get("status") or {}).get("conditions") or []
    return {one["type"] for one in conditions if one["status"] == "True"} - {"Ready"}


async def test_a_node_is_short_of_memory_and_refuses_who_asks_for_none(w: World) -> None:
    await tell_node(w, "short of memory")
    await until(lambda: w.clock.sleeping)
    await w.clock.advance(LEASE_RENEW_S + 1)
    assert pressed(w) == {"MemoryPressure"}
    asking = pod(container(resources={"requests": {"memory": "1Mi"}}), name="asks")
    await run_pods(w, pod(name="p"))
    await run_pods(w, asking)
    await until(lambda: w.phase("p") == "Failed")
    assert w.status("p")["reason"] == "Evicted"
    assert "The node had condition: [MemoryPressure]. " in w.status("p")["message"]
    await until(lambda: w.phase("asks") == "Running")
    await tell_node(w, None)
    await w.clock.advance(LEASE_RENEW_S + 1)
    assert pressed(w) == set()
