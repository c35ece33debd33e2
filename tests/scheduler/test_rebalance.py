"""Moves that make a cluster more even: what is moved, where to, and what never is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler.explain import feasible
from longshore.machinery.scheduler.picture import Picture, picture
from longshore.machinery.scheduler.profile import Profile, Strategy
from longshore.machinery.scheduler.rebalance import Limits, Move, is_movable, rebalance

from .placing import node, pod

SSD = {"disk": "ssd"}
SHOP = {"metadata": {"name": "shop", "labels": {"team": "shop"}}}


def member(name: str, at: str, cpu: str = "1", kind: str = "ReplicaSet", **spec: Any) -> Doc:
    """A running pod of a set."""
    doc = pod(name, {"cpu": cpu, "memory": "1Gi"}, node=at, **spec)
    owner = {"apiVersion": "apps/v1", "kind": kind, "name": "set", "uid": "set", "controller": True}
    doc["metadata"] |= {"ownerReferences": [owner], "labels": {"app": "web"}}
    return doc


def pictured(nodes: list[Doc], pods: list[Doc]) -> Picture:
    return picture({kinds.NAMESPACE: [SHOP], kinds.NODE: nodes, kinds.POD: pods})


def moves(nodes: list[Doc], pods: list[Doc], limits: Limits | None = None) -> list[Move]:
    return list(rebalance(pictured(nodes, pods), limits or Limits()).moves)


def test_pods_crowded_on_one_node_are_moved_to_empty_ones() -> None:
    nodes = [node(name) for name in ("a", "b", "c")]
    plan = rebalance(pictured(nodes, [member(f"p{n}", "a") for n in range(3)]), Limits())
    assert sorted(move.target for move in plan.moves) == ["b", "c"]
    assert all(move.source == "a" and move.gain >= Limits().gain for move in plan.moves)
    assert plan.before.fullest == 0.75
    assert (plan.after.cpu, plan.after.fullest) == (0.0, 0.25)


def test_an_even_cluster_is_left_alone() -> None:
    nodes = [node(name) for name in ("a", "b", "c")]
    assert moves(nodes, [member(name, name) for name in ("a", "b", "c")]) == []


def test_no_more_are_moved_than_asked_for_the_most_useful_first() -> None:
    nodes = [node(name) for name in ("a", "b", "c", "d")]
    pods = [member(f"p{n}", "a") for n in range(4)]
    three, one = moves(nodes, pods), moves(nodes, pods, Limits(moves=1))
    assert len(three) == 3
    assert one == three[:1]
    assert [move.gain for move in three] == sorted((move.gain for move in three), reverse=True)


def test_a_move_has_to_gain_enough() -> None:
    nodes, pods = [node("a"), node("b")], [member("p0", "a"), member("p1", "a")]
    assert len(moves(nodes, pods)) == 1
    assert moves(nodes, pods, Limits(gain=1000.0)) == []


def test_a_plan_leaves_the_picture_as_it_was() -> None:
    shown = pictured([node("a"), node("b")], [member(f"p{n}", "a") for n in range(2)])
    first = rebalance(shown, Limits())
    assert rebalance(shown, Limits()) == first


def test_only_pods_of_the_namespaces_that_are_meant_move() -> None:
    shown = pictured([node("a"), node("b")], [member(f"p{n}", "a") for n in range(2)])
    assert rebalance(shown, Limits(), namespaces=["other"]).moves == ()


@pytest.mark.parametrize(
    "target",
    [
        node("b", labels=SSD, taints=["only=gpu:NoSchedule"]),
        node("b", labels=SSD, unschedulable=True),
        node("b", labels=SSD, cpu="100m"),
        node("b", labels={"disk": "hdd"}),
    ],
)
def test_no_rule_is_broken(target: Doc) -> None:
    pods = [member(f"p{n}", "a", nodeSelector=SSD) for n in range(3)]
    assert moves([node("a", labels=SSD), target], pods) == []


def test_the_same_pods_do_move_where_no_rule_speaks_against_it() -> None:
    pods = [member(f"p{n}", "a", nodeSelector=SSD) for n in range(3)]
    assert moves([node("a", labels=SSD), node("b", labels=SSD)], pods)


def test_a_pod_that_others_have_to_be_near_stays() -> None:
    term = {
        "labelSelector": {"matchLabels": {"app": "web"}},
        "topologyKey": "kubernetes.io/hostname",
    }
    required = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
    follower = pod("follower", {"cpu": "1"}, node="a", affinity={"podAffinity": required})
    nodes = [node("a"), node("b")]
    assert moves(nodes, [member("p0", "a"), member("p1", "a"), follower]) == []


@pytest.mark.parametrize(
    ("change", "movable"),
    [
        ({}, True),
        ({"kind": "StatefulSet"}, True),
        ({"kind": "DaemonSet"}, False),
        ({"kind": "Job"}, False),
        ({"priority": 2_000_000_000}, False),
    ],
)
def test_who_can_be_moved(change: Any, movable: bool) -> None:
    assert is_movable(member("p", "a", **change)) is movable


@pytest.mark.parametrize(
    "metadata",
    [
        {"ownerReferences": []},
        {"deletionTimestamp": "2026-01-01T00:00:00Z"},
        {"annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}},
        {"annotations": {"descheduler.alpha.kubernetes.io/prefer-no-eviction": "true"}},
    ],
)
def test_who_is_nobodys_or_wants_to_stay_stays(metadata: Doc) -> None:
    doc = member("p", "a")
    doc["metadata"] |= metadata
    assert not is_movable(doc)


PACKING = Profile(weights={"PodTopologySpread": 0.0}, strategy=Strategy.MOST)


def test_a_profile_that_packs_moves_pods_together() -> None:
    shown = pictured([node("a"), node("b")], [member("p0", "a"), member("p1", "b")])
    assert rebalance(shown, Limits(gain=5.0)).moves == ()
    packed = rebalance(shown, Limits(gain=5.0), profiles={PACKING.name: PACKING})
    assert len(packed.moves) == 1
    assert packed.after.fullest == 0.5


def test_pods_of_another_scheduler_are_its_own() -> None:
    pods = [member(f"p{n}", "a", schedulerName="theirs") for n in range(3)]
    assert moves([node("a"), node("b")], pods) == []


NODES = st.lists(st.sampled_from(["1", "2", "4"]), min_size=2, max_size=6)
PODS = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from(["100m", "500m", "1"])), min_size=1, max_size=20
)


@given(NODES, PODS)
def test_every_move_is_one_that_the_scheduler_would_make(
    sizes: list[str], placed: list[tuple[int, str]]
) -> None:
    nodes = [node(f"n{at}", cpu) for at, cpu in enumerate(sizes)]
    pods = [member(f"p{n}", f"n{at % len(nodes)}", cpu) for n, (at, cpu) in enumerate(placed)]
    shown = pictured(nodes, pods)
    plan = rebalance(shown, Limits(moves=5))
    assert len(plan.moves) <= 5
    assert len({move.uid for move in plan.moves}) == len(plan.moves)
    for move in plan.moves:
        pod_class = shown.class_of(shown.pods[move.uid])
        shown.view.drop_pod(move.uid)
        assert feasible(shown.view, pod_class)[shown.view.rows[move.target]]
        shown.view.put_pod(move.uid, move.target, pod_class)
