"""Pods whose resources change while they run, on a whole agent (the items of upstream's conformance
suite for in-place resize, and what may go wrong)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.objects.pod_requests import amounts_of
from longshore.core.registry.client import Patch
from longshore.machinery.kubelet.lifecycle.allotment import meanwhile, too_tight
from longshore.machinery.runtime.protocol import Resources, RuntimeFailure, Usage
from longshore.testing.clock import VirtualClock

from .docs import container, pod
from .world import NODE, Recording, World, until, world

RESTART = {"resourceName": "cpu", "restartPolicy": "RestartContainer"}


class Limited(Recording):
    """A runtime that remembers the limits that it was told, and can refuse or be full."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(clock)
        self.updates: list[tuple[str, Resources]] = []
        self.broken = ""
        self.used_bytes = 0

    async def update_container(self, container_id: str, resources: Resources) -> None:
        if self.broken:
            raise RuntimeFailure(self.broken)
        await super().update_container(container_id, resources)
        name = next(c.name for c in await self.containers() if c.id == container_id)
        self.updates.append((name, resources))

    async def update_sandbox(self, sandbox_id: str, resources: Resources) -> None:
        await super().update_sandbox(sandbox_id, resources)
        self.updates.append(("", resources))

    async def usage(self) -> tuple[Usage | None, Mapping[str, Usage]]:
        used = Usage(0, self.used_bytes, self.used_bytes, self.used_bytes)
        return None, {one.id: used for one in await self.containers()}


@pytest.fixture
async def w(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        made.runtime = Limited(made.clock)
        made.start_agent()
        await until(lambda: made.registry.cache.get(kinds.NODE, "", NODE))
        yield made


def runtime(w: World) -> Limited:
    assert isinstance(w.runtime, Limited)
    return w.runtime


def asking(cpu: str, memory: str = "", *, limits: bool = False) -> Doc:
    requests = {"cpu": cpu, **({"memory": memory} if memory else {})}
    return {"requests": requests, **({"limits": requests} if limits else {})}


async def resize(w: World, name: str = "web", /, **resources: Doc) -> Doc:
    found = w.registry.cache.get(kinds.POD, "shop", name)
    assert found is not None
    containers = [
        {**one, "resources": resources.get(one["name"], one.get("resources") or {})}
        for one in found["spec"]["containers"]
    ]
    patch = {"spec": {"containers": containers}}
    return await w.client.write(Patch(kinds.POD, "shop", name, patch, "resize"))


def conditions(w: World, name: str = "web") -> dict[str, Doc]:
    told = w.status(name).get("conditions") or ()
    return {one["type"]: one for one in told if one["type"].startswith("PodResize")}


def settled(w: World, name: str = "web") -> bool:
    """Nothing is pending or under way, and all containers have what the spec says."""
    found = w.registry.cache.get(kinds.POD, "shop", name)
    assert found is not None
    seen = w.status(name).get("observedGeneration") == found["metadata"]["generation"]
    return seen and not conditions(w, name) and all(
        _same(w.container(one["name"], name), one["resources"]) for one in found["spec"]["containers"]
    )  # fmt: skip


def _same(told: Doc, wanted: Doc) -> bool:
    has = told.get("resources") or {}
    sides = all(amounts_of(has.get(s) or {}) == amounts_of(wanted.get(s) or {}) for s in wanted)
    given = amounts_of(told.get("allocatedResources") or {})
    return sides and given == amounts_of(wanted.get("requests") or {})


async def running(w: World, *containers: Doc, **spec: Any) -> None:
    await w.run_pod(pod(*containers, **spec))
    await until(lambda: w.phase() == "Running" and settled(w))


async def test_six_containers_change_in_all_directions_without_a_restart(w: World) -> None:
    names = [f"c{n}" for n in range(6)]
    one = asking("200m", "200Mi")
    await running(w, *(container(name, resources=one) for name in names))
    changes = {
        "c0": asking("300m", "200Mi"), "c1": asking("100m", "200Mi"), "c2": asking("200m", "300Mi"),
        "c3": asking("200m", "100Mi"), "c4": asking("300m", "100Mi"), "c5": one,
    }  # fmt: skip
    await resize(w, **changes)
    await until(lambda: settled(w))
    assert all(w.container(name)["restartCount"] == 0 for name in names)
    changed = {name for name, _ in runtime(w).updates if name}
    assert changed == {"c0", "c1", "c4"}  # requests of memory bind nothing


async def test_amounts_that_are_equal_change_nothing_that_runs(w: World) -> None:
    await running(w, container(resources=asking("1", "1Gi")))
    await resize(w, main=asking("1000m", "1024Mi"))
    await until(lambda: w.status().get("observedGeneration") == 2)
    assert settled(w) and not runtime(w).updates
    assert w.status()["containerStatuses"][0]["allocatedResources"] == {
        "cpu": "1000m",
        "memory": "1024Mi",
    }


@pytest.mark.parametrize(
    "after",
    [("400m", "500m", "300m"), ("100m", "200m", "250m"), ("100m", "400m", "300m")],
    ids=["net increase", "net decrease", "mixed"],
)
async def test_three_guaranteed_containers(w: World, after: tuple[str, ...]) -> None:
    names = ("a", "b", "c")
    before = asking("300m", "300Mi", limits=True)
    await running(w, *(container(name, resources=before) for name in names))
    wanted = dict(zip(names, after, strict=True))
    await resize(w, **{n: asking(cpu, "300Mi", limits=True) for n, cpu in wanted.items()})
    await until(lambda: settled(w))
    told = {n: r for n, r in runtime(w).updates if n}
    limits = {n: int(cpu.removesuffix("m")) for n, cpu in wanted.items() if cpu != "300m"}
    assert {n: r.cpu_limit_millis for n, r in told.items()} == limits
    assert w.status()["qosClass"] == "Guaranteed"
    assert all(w.container(name)["restartCount"] == 0 for name in names)


async def test_the_pods_bounds_grow_first_and_shrink_last(w: World) -> None:
    small, large = asking("1", "1Gi", limits=True), asking("2", "2Gi", limits=True)
    await running(w, container(resources=small))
    await resize(w, main=large)
    await until(lambda: settled(w))
    await resize(w, main=small)
    await until(lambda: settled(w))
    assert [(name, r.cpu_limit_millis) for name, r in runtime(w).updates] == [
        ("", 2000), ("main", 2000), ("main", 1000), ("", 1000),
    ]  # fmt: skip


async def test_those_that_shrink_go_before_those_that_grow(w: World) -> None:
    one = asking("500m", "1Gi", limits=True)
    await running(w, container("up", resources=one), container("down", resources=one))
    await resize(w, up=asking("700m", "1Gi", limits=True), down=asking("300m", "1Gi", limits=True))
    await until(lambda: settled(w))
    assert [name for name, _ in runtime(w).updates] == ["down", "up"]


async def test_a_container_starts_anew_where_it_says_so(w: World) -> None:
    await running(w, container(resources=asking("1"), resizePolicy=[RESTART]), container("beside"))
    await resize(w, main=asking("2"))
    await until(lambda: settled(w))
    assert (w.container()["restartCount"], w.container("beside")["restartCount"]) == (1, 0)
    assert runtime(w).started[-1].resources.cpu_shares == 2048
    events = await w.events()
    assert "Killing: Container main resize requires restart" in events
    await resize(w, main=asking("2", "1Gi"))  # memory does not need it
    await until(lambda: settled(w))
    assert w.container()["restartCount"] == 1


async def test_what_there_is_no_room_for_waits_until_there_is(w: World) -> None:
    await w.run_pod(pod(container(resources=asking("2")), name="other"))
    await running(w, container(resources=asking("1")))
    await resize(w, main=asking("3"))
    await until(lambda: "PodResizePending" in conditions(w))
    pending = conditions(w)["PodResizePending"]
    assert (pending["reason"], pending["observedGeneration"]) == ("Deferred", 2)
    assert pending["message"] == (
        "Node didn't have enough resource: cpu, requested: 3000, used: 2000, capacity: 4000"
    )
    told = w.container()
    assert told["allocatedResources"] == told["resources"]["requests"] == {"cpu": "1"}
    await w.delete("other")
    await until(lambda: settled(w))
    events = await w.events()
    assert any(e.startswith("ResizeDeferred: Pod resize Deferred: {") for e in events)
    assert any(e.startswith("ResizeCompleted: Pod resize completed: {") for e in events)


async def test_a_change_that_is_taken_back_is_not_pending(w: World) -> None:
    await w.run_pod(pod(container(resources=asking("2")), name="other"))
    await running(w, container(resources=asking("1")))
    await resize(w, main=asking("3"))
    await until(lambda: "PodResizePending" in conditions(w))
    await resize(w, main=asking("1"))
    await until(lambda: settled(w))
    assert not runtime(w).updates


async def test_a_pod_that_shrinks_makes_room_for_one_that_waits(w: World) -> None:
    await w.run_pod(pod(container(resources=asking("2")), name="other"))
    await running(w, container(resources=asking("1")))
    await resize(w, main=asking("3"))
    await until(lambda: "PodResizePending" in conditions(w))
    await resize(w, "other", main=asking("1"))
    await until(lambda: settled(w) and settled(w, "other"))


async def test_memory_that_is_in_use_is_not_taken_away(w: World) -> None:
    await running(w, container(resources=asking("1", "1Gi", limits=True)))
    runtime(w).used_bytes = 600 * 2**20
    await resize(w, main=asking("1", "512Mi", limits=True))
    await until(lambda: "PodResizeInProgress" in conditions(w))
    told = conditions(w)["PodResizeInProgress"]
    assert (told["reason"], told["message"]) == ("Error", (
        'cannot decrease memory limits: attempting to set container "main" memory limit '
        "(536870912) below current usage (629145600)"
    ))  # fmt: skip
    assert w.container()["resources"]["limits"]["memory"] == "1Gi"
    assert w.container()["allocatedResources"]["memory"] == "512Mi"
    runtime(w).used_bytes = 2**20
    await w.clock.advance(10.5)
    await until(lambda: settled(w))


async def test_what_the_runtime_refuses_is_told_and_tried_again(w: World) -> None:
    await running(w, container(resources=asking("1", limits=True)))
    runtime(w).broken = "no such device"
    await resize(w, main=asking("2", limits=True))
    await until(
        lambda: conditions(w).get("PodResizeInProgress", {}).get("message") == "no such device"
    )
    runtime(w).broken = ""
    await w.clock.advance(10.5)
    await until(lambda: settled(w))
    assert sum(e.startswith("ResizeError: Pod resize error: ") for e in await w.events()) == 1


async def test_an_agent_that_starts_again_knows_what_it_had_given(w: World) -> None:
    await w.run_pod(pod(container(resources=asking("2")), name="other"))
    await running(w, container(resources=asking("1", limits=True)))
    await until(lambda: w.phase("other") == "Running")
    await resize(w, main=asking("3", limits=True))
    await until(lambda: "PodResizePending" in conditions(w))
    await w.stop_agent()
    w.start_agent()
    await w.clock.advance(1)
    assert w.container()["allocatedResources"] == {"cpu": "1"}
    assert conditions(w)["PodResizePending"]["reason"] == "Deferred"
    await w.delete("other")
    await until(lambda: settled(w))
    assert w.container()["restartCount"] == 0


async def test_a_pod_as_a_whole(w: World) -> None:
    await running(w, container(), container("b"), resources=asking("1", "1Gi", limits=True))
    larger = {"spec": {"resources": asking("2", "1Gi", limits=True)}}
    await w.client.write(Patch(kinds.POD, "shop", "web", larger, "resize"))
    await until(lambda: (w.status().get("resources") or {}).get("requests", {}).get("cpu") == "2")
    assert w.status()["allocatedResources"]["cpu"] == "2"
    assert [name for name, _ in runtime(w).updates] == [""]


def test_the_pods_bounds_meanwhile_are_the_wider_ones() -> None:
    one, other = Resources(512, 1000, 0), Resources(1024, 500, 2**30)
    assert meanwhile(one, other) == Resources(1024, 1000, 0)


def test_only_a_limit_that_shrinks_can_be_too_tight() -> None:
    assert (
        too_tight("c", Resources(memory_limit_bytes=10), Resources(memory_limit_bytes=20), 5) == ""
    )
    assert (
        too_tight("c", Resources(memory_limit_bytes=30), Resources(memory_limit_bytes=20), 40) == ""
    )
    assert "below current usage (10)" in too_tight(
        "c", Resources(memory_limit_bytes=10), Resources(), 10
    )
