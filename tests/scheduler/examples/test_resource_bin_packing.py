"""kubernetes.io/docs/concepts/scheduling-eviction/resource-bin-packing, with its arithmetic.

The page rounds each step down to a whole tenth; the scores here are the same, not rounded.
"""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from longshore.core.objects.kinds import Doc

from ..judged import best
from ..reference import node_resources_fit
from ..reference.cluster import Cluster
from ..reference.profile import Profile
from .objects import node, pod

FOO = "intel.com/foo"
RISING, FALLING = ((0, 0), (100, 10)), ((0, 10), (100, 0))
PACKING = Profile(
    strategy="RequestedToCapacityRatio",
    resources={FOO: 5, "memory": 1, "cpu": 3},
    shape=RISING,
)
ASKED = pod("p", requests={FOO: "2", "memory": "256M", "cpu": "2"})


def using(name: str, foo: str, used: Doc) -> Cluster:
    """A node of the page, with what is in use on it."""
    offered = {FOO: foo, "memory": "1024M", "cpu": "8"}
    return Cluster.of([node(name, amounts=offered)], [pod(f"on-{name}", requests=used, on=name)])


NODE1 = using("node1", "4", {FOO: "1", "memory": "256M", "cpu": "1"})
NODE2 = using("node2", "8", {FOO: "2", "memory": "512M", "cpu": "6"})


def score(cluster: Cluster, mypod: Doc, profile: Profile) -> float:
    nodes = list(cluster.nodes.values())
    (value,) = node_resources_fit.score(cluster, mypod, nodes, profile).values()
    return value


@pytest.mark.parametrize(
    ("cluster", "tenths", "exactly"),
    [
        pytest.param(NODE1, (7, 5, 3), (7.5 * 5 + 5 * 1 + 3.75 * 3) / 9, id="node 1: 5"),
        pytest.param(NODE2, (5, 7, 10), (5 * 5 + 7.5 * 1 + 10 * 3) / 9, id="node 2: 7"),
    ],
)
def test_scoring(cluster: Cluster, tenths: tuple[int, int, int], exactly: float) -> None:
    foo, memory, cpu = tenths
    documented = math.floor((foo * 5 + memory * 1 + cpu * 3) / 9)
    assert score(cluster, ASKED, PACKING) == pytest.approx(10 * exactly)
    assert math.floor(exactly + 1e-9) in (documented, documented + 1)


def together() -> Cluster:
    return Cluster({**NODE1.nodes, **NODE2.nodes}, {**NODE1.pods, **NODE2.pods})


def test_the_fuller_node_is_taken() -> None:
    assert best(together(), ASKED, PACKING) == {"node2"}


def test_the_reversed_shape_is_least_requested() -> None:
    reversed_ = replace(PACKING, shape=FALLING)
    busy, idle = (using("n", "8", {FOO: n, "memory": f"{n}00M", "cpu": n}) for n in ("5", "1"))
    assert score(busy, ASKED, reversed_) == pytest.approx(100 - score(busy, ASKED, PACKING))
    assert score(busy, ASKED, reversed_) < score(idle, ASKED, reversed_)


def test_a_resource_that_scores_nothing_is_left_out_of_the_mean() -> None:
    """Not on the page; requested_to_capacity_ratio.go. So a full resource does not count against
    a node of the reversed shape."""
    expected = (5 * 5 + 2.5 * 1) / 6
    assert score(NODE2, ASKED, replace(PACKING, shape=FALLING)) == pytest.approx(10 * expected)


def test_most_allocated() -> None:
    """Weights as on the page: a foo counts as much as three of cpu or memory."""
    nodes = [node("foo", amounts={FOO: "4"}), node("cpu", amounts={FOO: "4"})]
    used = [
        pod("x", requests={FOO: "2"}, on="foo"),
        pod("y", requests={"cpu": "40", "memory": "1Gi"}, on="cpu"),
    ]
    cluster, asked = Cluster.of(nodes, used), pod("p", requests={FOO: "1", "cpu": "1"})
    weights = {"cpu": 1, "memory": 1, FOO: 3, "intel.com/bar": 3}
    packing = Profile(strategy="MostAllocated", resources=weights)
    assert best(cluster, asked, packing) == {"foo"}
    assert best(cluster, asked) == {"foo"}
    alike = Profile(strategy="MostAllocated")
    assert best(cluster, asked, alike) == {"cpu"}


def test_resources_that_a_pod_does_not_ask_for_are_left_out() -> None:
    """Extended ones only: cpu and memory always count, with something assumed for who asks none."""
    cluster = using("n", "4", {FOO: "1", "memory": "256M", "cpu": "1"})
    plain = Profile(resources={"cpu": 1, FOO: 100})
    assert score(cluster, pod("p", requests={"cpu": "1"}), plain) == pytest.approx(75.0)
    assert score(cluster, pod("p"), Profile(resources={"cpu": 1})) == pytest.approx(
        100 * (8 - 1.1) / 8
    )


def test_a_broken_line() -> None:
    profile = Profile(
        strategy="RequestedToCapacityRatio",
        resources={"cpu": 1},
        shape=((20, 0), (50, 10), (80, 5)),
    )
    for percent, expected in ((10, 0), (20, 0), (35, 50), (50, 100), (65, 75), (80, 50), (99, 50)):
        asked = pod("p", requests={"cpu": f"{percent * 10}m"})
        cluster = Cluster.of([node("n", amounts={"cpu": "1"})])
        assert score(cluster, asked, profile) == pytest.approx(expected)
