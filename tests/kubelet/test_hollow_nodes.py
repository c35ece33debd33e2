"""Hollow nodes: thousands of pods that look real, in few writes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.errors import InsufficientStorage
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.client import Answers, Bind, Create, Delete, Operation, Update
from longshore.core.registry.inprocess import InProcess
from longshore.machinery.kubelet.hollow.nodes import HollowNodes, hollow_configs
from longshore.machinery.loop.giving_way import CALM_LOOKS, LOOK_S

from .docs import container, pod
from .world import ADMIN, World, declare_lost, until, world


@pytest.fixture
async def w(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        start(made)
        await until(lambda: made.registry.cache.get(kinds.LEASE, "kube-node-lease", "hollow-2"))
        yield made


class Way(InProcess):
    """The agents' way to a server: counts their calls, and fails as a full disk or a connection that
    breaks at each read does."""

    full = away = False

    def __init__(self, w: World) -> None:
        super().__init__(w.registry, ADMIN)
        self.calls: list[int] = []

    async def submit(self, operations: Sequence[Operation]) -> Answers:
        self.calls.append(len(operations))
        if self.full:
            why = "the store has no room left, nothing was written"
            return [InsufficientStorage(why) for _ in operations]
        return await super().submit(operations)

    async def get(self, kind: Kind, namespace: str, name: str) -> Doc:
        if self.away:
            raise ConnectionResetError("the connection broke")
        return await super().get(kind, namespace, name)


def start(w: World, way: Way | None = None) -> HollowNodes:
    configs = hollow_configs([f"hollow-{n}" for n in range(3)])
    nodes = HollowNodes(configs, way or w.client, w.clock)
    w.agents.append(w.crew.create_task(nodes.run()))
    return nodes


async def run_pods(w: World, *docs: Doc) -> None:
    for number, doc in enumerate(docs):
        spec = {k: v for k, v in doc["spec"].items() if k != "nodeName"}
        metadata = {k: v for k, v in doc["metadata"].items() if k not in ("uid", "generation")}
        await w.create(kinds.POD, {**doc, "spec": spec, "metadata": metadata})
        await w.client.write(Bind("shop", metadata["name"], f"hollow-{number % 3}"))


def named(name: str, says: str = "", **spec: Any) -> Doc:
    doc = pod(name=name, **spec)
    if says:
        doc["metadata"]["annotations"] = {"longshore.io/hollow-exit": says}
    return doc


async def test_nodes_register_and_keep_their_leases(w: World) -> None:
    nodes = w.registry.cache.all(kinds.NODE)
    assert [n["metadata"]["name"] for n in nodes] == ["hollow-0", "hollow-1", "hollow-2"]
    assert len({n["spec"]["podCIDR"] for n in nodes}) == 3
    for node in nodes:
        assert {c["type"]: c["status"] for c in node["status"]["conditions"]}["Ready"] == "True"
    await w.clock.advance(10)
    stamps = {d["spec"]["renewTime"] for d in w.registry.cache.all(kinds.LEASE)}
    assert stamps == {"2026-01-01T00:00:10.000000Z"}


async def test_pods_run_with_addresses_of_their_own_and_go(w: World) -> None:
    await run_pods(w, *(named(f"p{n}") for n in range(9)))
    await until(lambda: all(w.ready(f"p{n}") for n in range(9)))
    assert len({w.status(f"p{n}")["podIP"] for n in range(9)}) == 9
    for number in range(9):
        await w.delete(f"p{number}", grace_s=30)
    await until(lambda: not w.registry.cache.all(kinds.POD))


async def test_pods_end_as_they_say(w: World) -> None:
    await run_pods(w, named("good", "0 after 2.5", restartPolicy="Never"),
                   named("bad", "3", restartPolicy="Never"),
                   named("again", "1 after 1", restartPolicy="Always"))  # fmt: skip
    await until(lambda: w.phase("bad") == "Failed")
    assert w.container(pod="bad")["state"]["terminated"]["exitCode"] == 3
    await until(lambda: w.phase("good") == "Running")
    await w.clock.advance(2.6)
    await until(lambda: w.phase("good") == "Succeeded")
    assert w.container(pod="again")["restartCount"] == 1
    assert w.waiting(pod="again") == "CrashLoopBackOff"


async def test_pods_of_jobs_succeed_after_a_moment_and_init_containers_pass(w: World) -> None:
    job = named("job", restartPolicy="OnFailure", inits=[container("init")])
    job["metadata"]["ownerReferences"] = [
        {"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "u", "controller": True}
    ]
    await run_pods(w, job)
    await until(lambda: w.phase("job") == "Running")
    await w.clock.advance(1.1)
    await until(lambda: w.phase("job") == "Succeeded")


async def test_broken_images_are_pulled_again_ever_more_seldom(w: World) -> None:
    await run_pods(w, pod(container(image="registry.test/broken:1"), name="p"))
    await until(lambda: w.waiting(pod="p") == "ErrImagePull")
    await w.clock.advance(2.1)
    await until(lambda: w.waiting(pod="p") == "ImagePullBackOff")
    await w.clock.advance(8)
    await until(lambda: w.waiting(pod="p") == "ErrImagePull")
    assert w.phase("p") == "Pending"
    await w.clock.advance(19)
    await until(lambda: w.waiting(pod="p") == "ImagePullBackOff")
    await w.delete("p", grace_s=30)
    await until(lambda: not w.registry.cache.all(kinds.POD))


async def set_gate(w: World, name: str, status: str) -> None:
    doc = w.registry.cache.get(kinds.POD, "shop", name)
    assert doc is not None
    others = [c for c in doc["status"]["conditions"] if c["type"] != "test/warm"]
    conditions = [*others, {"type": "test/warm", "status": status}]
    changed = {**doc, "status": {**doc["status"], "conditions": conditions}}
    await w.client.write(Update(kinds.POD, changed, "status"))


async def test_readiness_gates_are_opened_and_closed_by_others(w: World) -> None:
    await run_pods(w, named("p", readinessGates=[{"conditionType": "test/warm"}]))
    await until(lambda: w.phase("p") == "Running")
    assert not w.ready("p")
    await set_gate(w, "p", "True")
    await until(lambda: w.ready("p"))
    await set_gate(w, "p", "False")
    await until(lambda: not w.ready("p"))


async def test_nodes_that_start_again_go_on_where_they_were(w: World) -> None:
    await run_pods(w, named("p"), named("q"))
    await until(lambda: w.ready("p") and w.ready("q"))
    before = w.status("p")
    await w.stop_agent()
    start(w)
    await w.clock.advance(11)
    assert w.status("p") == before
    await run_pods(w, named("r"))
    await until(lambda: w.ready("r"))
    assert w.status("r")["podIP"] != before["podIP"]


async def test_pods_at_rest_hold_no_document_and_what_is_known_is_not_said_again(w: World) -> None:
    await run_pods(w, named("p"), named("q"), named("done", "0", restartPolicy="Never"))
    await until(lambda: w.ready("p") and w.ready("q") and w.phase("done") == "Succeeded")
    await w.stop_agent()
    revision = w.registry.cache.shelf(kinds.POD).history.newest
    nodes = start(w)
    await w.clock.advance(11)
    assert [known.doc for known in nodes._pods.values()] == [{}] * 3
    assert w.registry.cache.shelf(kinds.POD).history.newest == revision
    await w.delete("p", grace_s=30)
    await w.delete("done", grace_s=30)
    await until(
        lambda: [one["metadata"]["name"] for one in w.registry.cache.all(kinds.POD)] == ["q"]
    )
    await declare_lost(w, "q", node="hollow-1")
    await w.clock.advance(21)
    await until(lambda: w.ready("q"))


async def test_a_node_that_was_declared_lost_and_its_pods_come_back(w: World) -> None:
    await run_pods(w, named("p"))
    await until(lambda: w.ready("p"))
    await declare_lost(w, "p", node="hollow-0")
    await w.clock.advance(21)
    node = w.registry.cache.get(kinds.NODE, "", "hollow-0")
    assert node is not None
    assert {c["type"]: c["status"] for c in node["status"]["conditions"]}["Ready"] == "True"
    assert w.ready("p")


async def test_what_a_full_disk_refused_is_reported_when_there_is_room(w: World) -> None:
    await w.stop_agent()
    way = Way(w)
    start(w, way)
    await w.clock.advance(1)
    way.full = True
    await run_pods(w, named("p"))
    await w.clock.advance(5)
    assert not w.ready("p")
    way.full = False
    await w.clock.advance(5)
    assert w.ready("p")


async def test_a_node_that_is_there_and_cannot_be_read_is_tried_again(w: World) -> None:
    await w.stop_agent()
    await w.client.write(Delete(kinds.LEASE, "kube-node-lease", "hollow-1"))
    way = Way(w)
    way.away = True
    start(w, way)
    await w.clock.advance(5)
    way.away = False
    await w.clock.advance(11)
    assert w.registry.cache.get(kinds.LEASE, "kube-node-lease", "hollow-1") is not None


async def test_hundreds_of_pods_take_a_handful_of_calls(w: World) -> None:
    await w.stop_agent()
    way = Way(w)
    start(w, way)
    await w.clock.advance(1)
    docs = [named(f"p{n}") for n in range(300)]
    for doc in docs:
        doc["spec"].pop("nodeName")
        doc["metadata"] = {"name": doc["metadata"]["name"], "namespace": "shop"}
    await w.client.submit([Create(kinds.POD, doc) for doc in docs])
    way.calls.clear()
    await w.client.submit([Bind("shop", f"p{n}", f"hollow-{n % 3}") for n in range(300)])
    await w.clock.advance(CALM_LOOKS * LOOK_S)
    await until(lambda: all(w.ready(f"p{n}") for n in range(300)))
    assert sum(way.calls) == 300
    assert len(way.calls) <= 4
