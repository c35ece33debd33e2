"""Whom preemption removes, judged by the plain reference: all rules, budgets, times, one preemptor."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler.preemption.budgets import Budgets
from longshore.machinery.scheduler.preemption.columns import Scene
from longshore.machinery.scheduler.preemption.roster import Resident, Roster
from longshore.machinery.scheduler.preemption.search import Asked, search

from .judged import Planner
from .reference import inter_pod_affinity, preemption, scheduler
from .reference.cluster import Cluster, name_of, namespace_of
from .test_against_reference import cluster_of, examples
from .worlds import SIMPLE_NODE, ZONE, World, make_node, make_pod, tight_world

pytestmark = pytest.mark.slow

URGENT = 5
Rank = tuple[int, int]
"""A priority, and the day on which a pod started."""
RANKS = st.lists(
    st.tuples(st.sampled_from([0, 1, 2, 3, 4, 7]), st.integers(1, 4)), min_size=16, max_size=16
)
BUDGETS = st.lists(
    st.builds(
        lambda app, allowed, namespace: {
            "metadata": {"name": f"{app}-{allowed}", "namespace": namespace},
            "spec": {"selector": {"matchLabels": {"app": app}}},
            "status": {"disruptionsAllowed": allowed},
        },
        st.sampled_from(["web", "db"]),
        st.integers(0, 2),
        st.sampled_from(["shop", "mall"]),
    ),
    max_size=2,
    unique_by=name_of,
)


def ranked(pod: Doc, rank: Rank) -> Doc:
    priority, day = rank
    status = {**pod["status"], "startTime": f"2026-01-{day:02}T00:00:00Z"}
    return {**pod, "spec": {**pod["spec"], "priority": priority}, "status": status}


def without_leaving(world: World) -> World:
    """Pods that leave anyhow are another matter: they cost nothing."""
    for pod in world.bound:
        pod["metadata"].pop("deletionTimestamp", None)
    return world


def begins_a_group(cluster: Cluster, pod: Doc) -> bool:
    """Whether all pods that a pod has to be near might go, which would make it the first of them:
    the planner leaves those alone, as the page on preemption says it is done."""
    near = inter_pod_affinity.required(pod, "podAffinity")
    return bool(near) and all(inter_pod_affinity.matches(cluster, pod, one, pod) for one in near)


def found_by_planner(
    cluster: Cluster, planner: Planner, pod: Doc, budgets: list[Doc]
) -> tuple[str, set[str]] | None:
    """The node on which room is made, and the names of who has to go."""
    roster, noted, names = Roster(), Budgets(), {}
    for other, node in cluster.everywhere():
        uid = other["metadata"]["uid"]
        names[uid] = name_of(other)
        roster.put(uid, resident(planner, other, name_of(node)))
    for budget in budgets:
        noted.put(budget)
    asked = Asked(planner.class_of(pod), URGENT, 1, 0)
    makings = search(Scene(planner.view, roster).look(), asked, noted).makings
    if not makings:
        return None
    gone = {names[roster.uids[slot]] for slot in makings[0].victims}
    return planner.view.names[makings[0].row], gone


def resident(planner: Planner, pod: Doc, node: str) -> Resident:
    start = datetime.fromisoformat(pod["status"]["startTime"]).timestamp()
    priority = preemption.priority(pod)
    return Resident(namespace_of(pod), name_of(pod), node, planner.class_of(pod), priority, start)


@examples(100)
@given(tight_world.map(without_leaving), RANKS, BUDGETS)
def test_room_is_made_as_by_the_reference(
    world: World, ranks: list[Rank], budgets: list[Doc]
) -> None:
    world.bound = [ranked(pod, rank) for pod, rank in zip(world.bound, ranks, strict=False)]
    cluster = cluster_of(world)
    planner = Planner(cluster)
    for run in world.waiting:
        pod = ranked(run[0], (URGENT, 1))
        if scheduler.best(cluster, pod) or begins_a_group(cluster, pod):
            continue
        best = preemption.best(cluster, pod, budgets)
        found = found_by_planner(cluster, planner, pod, budgets)
        assert (found is None) == (not best), (found, best)
        if found:
            node, victims = found
            assert node in best, (found, best)
            assert victims == set(best[node].victims), (found, best)


def test_a_domain_with_too_many_pods_has_to_lose_one() -> None:
    """Zone b has room for nobody; in zone a one of two such pods goes."""
    sizes = {"a": "9", "b": "1"}
    cluster = Cluster.of(
        [
            make_node(
                zone,
                {**SIMPLE_NODE, "allocatable": {**SIMPLE_NODE["allocatable"], "pods": pods}},
                zone,
            )
            for zone, pods in sizes.items()
        ]
    )
    web = {
        "namespace": "shop",
        "labels": {"app": "web"},
        "owner": "",
        "containers": [{"image": "none", "resources": {}}],
        "ports": [],
        "spec": {},
    }
    for name, zone, priority in (("low", "a", 1), ("lower", "a", 0), ("high", "b", 9)):
        cluster.bind(ranked(make_pod(name, web), (priority, 1)), zone)
    even = {
        "maxSkew": 1,
        "topologyKey": ZONE,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }
    pod = ranked(
        make_pod("new", {**web, "spec": {"topologySpreadConstraints": [even]}}), (URGENT, 1)
    )
    assert preemption.best(cluster, pod) == {"a": preemption.Choice(("lower",), 0)}
    assert found_by_planner(cluster, Planner(cluster), pod, []) == ("a", {"lower"})
