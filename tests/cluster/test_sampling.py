"""Samples: nodes are asked at most every ten seconds, and nobody waits long for one that is silent."""

from __future__ import annotations

import asyncio
from typing import Any

from longshore.cluster.readings.sampling import NodeSamples, sample_of
from longshore.core.objects.errors import Unavailable
from longshore.core.objects.kinds import Doc
from longshore.core.streams.samples import Use
from longshore.testing.clock import VirtualClock, settle

MI = 1 << 20


def figures(cores_ns: int, memory: int) -> Doc:
    time = "2026-01-01T00:00:00Z"
    return {
        "cpu": {"time": time, "usageNanoCores": cores_ns, "windowSeconds": 12.5},
        "memory": {"time": time, "workingSetBytes": memory},
    }


class Nodes:
    """Answers what it is told; counts how often it is asked."""

    def __init__(self) -> None:
        self.says: dict[str, Doc] = {}
        self.silent: set[str] = set()
        self.asked: list[str] = []

    async def stats(self, node: str) -> dict[str, Any]:
        self.asked.append(node)
        if node in self.silent:
            await asyncio.Event().wait()
        if node not in self.says:
            raise Unavailable(f"node {node} cannot be reached")
        return self.says[node]


def test_a_summary_is_read_by_pod_and_container() -> None:
    ref = {"namespace": "default", "name": "web", "uid": "u1"}
    containers = [{"name": "main", **figures(250_000_000, 3 * MI)}]
    idle = {"podRef": {**ref, "uid": "u2"}, "containers": []}
    pods = [{"podRef": ref, "containers": containers}, idle]
    said = sample_of("n1", {"node": {"nodeName": "n1", **figures(10**9, 64 * MI)}, "pods": pods})
    assert (said.at, said.window_s, said.use) == (1_767_225_600.0, 12.5, Use(10**9, 64 * MI))
    assert list(said.pods) == ["u1"], "nothing was measured of the other"
    pod = said.pods["u1"]
    assert (pod.namespace, pod.name, pod.window_s) == ("default", "web", 12.5)
    assert pod.containers == {"main": Use(250_000_000, 3 * MI)}
    unmeasured = sample_of("n1", {"node": {"nodeName": "n1"}, "pods": pods})
    assert unmeasured.use is None
    assert list(unmeasured.pods) == ["u1"]


async def test_an_answer_is_kept_for_ten_seconds_whoever_asks() -> None:
    nodes, clock = Nodes(), VirtualClock()
    samples = NodeSamples(nodes, clock)
    nodes.says["n1"] = {"node": {"nodeName": "n1", **figures(1, MI)}, "pods": []}
    for _ in range(3):
        assert list(await samples.of_nodes(["n1", "n1"])) == ["n1"]
    assert nodes.asked == ["n1"]
    await clock.advance(10)
    await samples.of_nodes(["n1"])
    assert nodes.asked == ["n1", "n1"]


async def test_whoever_asks_at_the_same_time_shares_an_answer() -> None:
    nodes, clock = Nodes(), VirtualClock()
    samples = NodeSamples(nodes, clock)
    nodes.silent.add("deaf")
    async with asyncio.TaskGroup() as crew:
        for _ in range(5):
            crew.create_task(samples.of_nodes(["deaf"]))
        await clock.advance(4)
    assert nodes.asked == ["deaf"]


async def test_a_node_that_talks_nonsense_says_nothing() -> None:
    nodes, clock = Nodes(), VirtualClock()
    samples = NodeSamples(nodes, clock)
    nodes.says |= {"odd": {"pods": [{"containers": [1]}]}, "good": {"node": {}}}
    assert list(await samples.of_nodes(["odd", "good"])) == ["good"]


async def test_many_silent_nodes_hold_nobody_up() -> None:
    nodes, clock = Nodes(), VirtualClock()
    samples = NodeSamples(nodes, clock)
    names = [f"n{number}" for number in range(500)]
    nodes.silent |= set(names)
    async with asyncio.TaskGroup() as crew:
        asked = crew.create_task(samples.of_nodes(names))
        for _ in range(5):
            await clock.advance(3)
    assert asked.result() == {}
    assert len(nodes.asked) < 200


async def test_a_silent_or_failing_node_is_left_out_after_three_seconds() -> None:
    nodes, clock = Nodes(), VirtualClock()
    samples = NodeSamples(nodes, clock)
    nodes.silent.add("deaf")
    nodes.says["good"] = {"node": {"nodeName": "good"}, "pods": []}
    async with asyncio.TaskGroup() as crew:
        asked = crew.create_task(samples.of_nodes(["deaf", "down", "good"]))
        await clock.advance(2.9)
        await settle()
        assert not asked.done()
        await clock.advance(0.2)
    assert list(asked.result()) == ["good"]
    assert await samples.of_nodes(["deaf"]) == {}
    assert nodes.asked.count("deaf") == 1, "that it is silent is an answer"
