"""The planner judged by the plain reference, on clusters and pods drawn at random.

One at a time it chooses as the reference does and refuses in the same words; many at once it breaks
no hard rule, leaves nobody waiting who would fit, and always decides alike.
"""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import HealthCheck, given, settings

from longshore.core.objects.kinds import Doc

from .judged import Planner, agree
from .reference import scheduler
from .reference.cluster import Cluster
from .worlds import (
    NAMESPACES,
    World,
    any_world,
    great_any_world,
    great_kin_world,
    kin_world,
)

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


def placed(world: World) -> Iterator[tuple[Cluster, list[Doc], list[str]]]:
    """Each run of pods with what the planner chose for it, before it is so in the cluster."""
    cluster = cluster_of(world)
    planner = Planner(cluster)
    for run in world.waiting:
        agree(cluster, run[0], planner)
        chosen = planner.place(run)
        yield cluster, run, chosen
        for pod, node in zip(run, chosen, strict=False):
            planner.bind(pod, node)
        for pod in run[len(chosen) :][:1]:
            # Whom the planner left waiting does not fit, and it says why.
            assert not scheduler.best(cluster, pod)
            assert planner.refusal(pod) == scheduler.refusal(cluster, pod)


def chooses_as_the_reference(world: World) -> None:
    for cluster, run, chosen in placed(world):
        for pod, node in zip(run, chosen, strict=False):
            best = scheduler.best(cluster, pod)
            assert node in best, (node, best)
            cluster.bind(pod, node)


@examples(300)
@given(any_world)
def test_one_at_a_time_all_rules(world: World) -> None:
    chooses_as_the_reference(world)


@examples(300)
@given(kin_world)
def test_one_at_a_time_pods_near_and_far(world: World) -> None:
    chooses_as_the_reference(world)


def breaks_no_rule(world: World) -> None:
    for cluster, run, chosen in placed(world):
        in_an_order_that_holds(cluster, run, chosen)


def in_an_order_that_holds(cluster: Cluster, run: list[Doc], chosen: list[str]) -> None:
    """Binds the pods one by one so that each may go where it goes at that moment. They are alike,
    so it does not matter which takes the next place that is open."""
    left = list(chosen)
    for pod in run[: len(chosen)]:
        why = scheduler.objections(cluster, pod)
        node = next((name for name in left if not why[name]), None)
        assert node, {name: why[name] for name in left}
        left.remove(node)
        cluster.bind(pod, node)


@examples(40)
@given(great_any_world)
def test_many_at_once_all_rules(world: World) -> None:
    breaks_no_rule(world)


@examples(40)
@given(great_kin_world)
def test_many_at_once_pods_near_and_far(world: World) -> None:
    breaks_no_rule(world)
