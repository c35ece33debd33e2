"""The planner judged by the plain reference, on clusters and pods drawn at random.

One at a time it chooses as the reference does and refuses in the same words; many at once it breaks
no hard rule, leaves nobody waiting who would fit, and always decides alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings

from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler.pods.podclass import PodClass

from .judged import Planner, agree
from .reference import scheduler
from .reference.cluster import Cluster
from .reference.profile import DEFAULT, Profile
from .worlds import (
    NAMESPACES,
    PROFILES,
    SIMPLE_NODE,
    World,
    any_world,
    great_any_world,
    great_kin_world,
    great_tight_world,
    kin_world,
    make_node,
    make_pod,
)

pytestmark = pytest.mark.slow
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def examples(count: int) -> settings:
    """The same examples in every run."""
    return settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=SLOW,
    )


def cluster_of(world: World) -> Cluster:
    cluster = Cluster.of(world.nodes, world.bound)
    cluster.namespaces = NAMESPACES
    return cluster


def placed(
    world: World, profile: Profile = DEFAULT
) -> Iterator[tuple[Cluster, list[Doc], list[str]]]:
    """Each run of pods with what the planner chose for it, before it is so in the cluster."""
    cluster = cluster_of(world)
    planner = Planner(cluster, profile)
    for run in world.waiting:
        agree(cluster, run[0], planner, profile)
        chosen = planner.place(run, world.seed)
        yield cluster, run, chosen
        for pod, node in zip(run, chosen, strict=False):
            planner.bind(pod, node)
        for pod in run[len(chosen) :][:1]:
            # Whom the planner left waiting does not fit, and it says why.
            assert not scheduler.best(cluster, pod, profile)
            assert planner.refusal(pod) == scheduler.refusal(cluster, pod, profile)


def chooses_as_the_reference(world: World, profile: Profile = DEFAULT) -> None:
    for cluster, run, chosen in placed(world, profile):
        for pod, node in zip(run, chosen, strict=False):
            best = scheduler.best(cluster, pod, profile)
            assert node in best, (node, best)
            cluster.bind(pod, node)


@examples(100)
@given(any_world)
def test_one_at_a_time_all_rules(world: World) -> None:
    chooses_as_the_reference(world)


@examples(120)
@given(kin_world)
def test_one_at_a_time_pods_near_and_far(world: World) -> None:
    chooses_as_the_reference(world)


@examples(80)
@given(any_world, PROFILES)
def test_one_at_a_time_with_other_settings(world: World, profile: Profile) -> None:
    chooses_as_the_reference(world, profile)


@examples(50)
@given(kin_world, PROFILES)
def test_one_at_a_time_near_and_far_with_other_settings(world: World, profile: Profile) -> None:
    chooses_as_the_reference(world, profile)


def breaks_no_rule(world: World, profile: Profile = DEFAULT) -> None:
    for cluster, run, chosen in placed(world, profile):
        in_an_order_that_holds(cluster, run, chosen, profile)


def in_an_order_that_holds(
    cluster: Cluster, run: list[Doc], chosen: list[str], profile: Profile = DEFAULT
) -> None:
    """Binds the pods one by one so that each may go where it goes at that moment. They are alike,
    so it does not matter which takes the next place that is open."""
    left = list(chosen)
    for pod in run[: len(chosen)]:
        why = scheduler.objections(cluster, pod, profile)
        node = next((name for name in left if not why[name]), None)
        assert node, {name: why[name] for name in left}
        left.remove(node)
        cluster.bind(pod, node)


@examples(30)
@given(great_any_world)
def test_many_at_once_all_rules(world: World) -> None:
    breaks_no_rule(world)


@examples(30)
@given(great_kin_world)
def test_many_at_once_pods_near_and_far(world: World) -> None:
    breaks_no_rule(world)


@examples(20)
@given(great_kin_world, PROFILES)
def test_many_at_once_with_other_settings(world: World, profile: Profile) -> None:
    breaks_no_rule(world, replace(profile, strategy="LeastAllocated"))


@examples(30)
@given(great_tight_world)
def test_many_at_once_where_there_is_little_room(world: World) -> None:
    breaks_no_rule(world)


@examples(40)
@given(kin_world)
def test_a_seed_always_decides_alike(world: World) -> None:
    """And the view is left as it was: asking again changes nothing."""
    cluster = cluster_of(world)
    planner, other = Planner(cluster), Planner(cluster)
    for run in world.waiting:
        chosen = planner.place(run, world.seed)
        assert planner.place(run, world.seed) == chosen
        assert other.place(run, world.seed) == chosen


@examples(25)
@given(great_kin_world)
def test_a_decision_is_a_value(world: World) -> None:
    """The same of the same view; every pod is either placed or refused, and class after class the
    placements break no rule."""
    cluster = cluster_of(world)
    planner = Planner(cluster)
    pods = [pod for run in world.waiting for pod in run]
    decision = planner.decide(pods, world.seed)
    assert decision == Planner(cluster).decide(pods, world.seed)
    classes: dict[PodClass, list[Doc]] = {}
    for pod in pods:
        classes.setdefault(planner.class_of(pod), []).append(pod)
    for alike in classes.values():
        uids = [pod["metadata"]["uid"] for pod in alike]
        chosen = [decision.placements[uid] for uid in uids if uid in decision.placements]
        in_an_order_that_holds(cluster, alike, chosen)
        refused = {decision.refusals[uid] for uid in uids if uid not in decision.placements}
        assert refused <= {scheduler.refusal(cluster, alike[0])}


def test_equals_share_by_the_seed() -> None:
    nodes = [make_node(f"n{i}", SIMPLE_NODE, None) for i in range(10)]
    bare = {"namespace": "shop", "labels": {}, "owner": "", "ports": [], "spec": {}}
    pod = make_pod("p", {**bare, "containers": [{"image": "i", "resources": {}}]})
    planner = Planner(Cluster.of(nodes))
    assert len({planner.place([pod], seed)[0] for seed in range(30)}) == 10
