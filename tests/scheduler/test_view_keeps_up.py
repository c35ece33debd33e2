"""A view that heard of every change is as good as one that is made anew from what there is.

Nodes come, go and change their labels, sizes, taints; pods are bound, leave and are gone;
namespaces change their labels. Afterwards the view that heard of it all must decide like the plain
reference, which only sees the end.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.core.objects.kinds import Doc

from .judged import Planner, agree
from .reference import scheduler
from .reference.cluster import Cluster
from .test_against_reference import examples
from .worlds import (
    ALL_KINDS,
    HOST,
    KIN_KINDS,
    NAMESPACES,
    NODE_KINDS,
    PREFERRED,
    REQUIRED,
    SIMPLE_NODE,
    make_node,
    make_pod,
)

pytestmark = pytest.mark.slow
Change = Callable[[Cluster, Planner], None]

NAMES = st.integers(0, 5).map(lambda number: f"n{number}")
ZONES = st.sampled_from(["a", "b", None])
UIDS = st.integers(0, 7)


def put_node(name: str, kind: Doc, zone: str | None) -> Change:
    def change(cluster: Cluster, planner: Planner) -> None:
        node = make_node(name, kind, zone)
        cluster.nodes[name] = node
        planner.view.put_node(node)

    return change


def drop_node(name: str) -> Change:
    """Its pods are still known, and count again if it comes back."""

    def change(cluster: Cluster, planner: Planner) -> None:
        if cluster.nodes.pop(name, None):
            planner.view.drop_node(name)

    return change


def put_pod(number: int, kind: Doc, node: str, leaving: bool) -> Change:
    def change(cluster: Cluster, planner: Planner) -> None:
        drop_pod(number)(cluster, planner)
        pod = make_pod(f"old-{number}", kind, node, leaving=leaving)
        cluster.bind(pod, node)
        planner.bind(pod, node)

    return change


def drop_pod(number: int) -> Change:
    def change(cluster: Cluster, planner: Planner) -> None:
        for pods in cluster.pods.values():
            for pod in [one for one in pods if one["metadata"]["name"] == f"old-{number}"]:
                pods.remove(pod)
                planner.view.drop_pod(pod["metadata"]["uid"])

    return change


def relabel_namespace(name: str, team: str) -> Change:
    def change(cluster: Cluster, planner: Planner) -> None:
        cluster.namespaces = {**cluster.namespaces, name: {"team": team}}
        planner.put_namespace(name, cluster.namespaces[name])

    return change


def changes(pods: st.SearchStrategy[Doc]) -> st.SearchStrategy[list[Change]]:
    one = st.one_of(
        st.builds(put_node, NAMES, NODE_KINDS, ZONES),
        st.builds(drop_node, NAMES),
        st.builds(put_pod, UIDS, pods, NAMES, st.booleans()),
        st.builds(put_pod, UIDS, pods, NAMES, st.just(False)),
        st.builds(drop_pod, UIDS),
        st.builds(
            relabel_namespace, st.sampled_from(sorted(NAMESPACES)), st.sampled_from(["red", "blue"])
        ),
    )
    return st.lists(one, min_size=4, max_size=25)


def keeps_up(heard: list[Change], probes: list[Doc]) -> None:
    cluster = Cluster(namespaces=dict(NAMESPACES))
    planner = Planner(cluster)
    for number, change in enumerate(heard):
        change(cluster, planner)
        if number % 5 == 4:
            # What is remembered of earlier answers must not outlive what they were about.
            planner.place([make_pod("between", probes[0])])
    for kind in probes:
        agree(cluster, make_pod("new", kind), planner)


@examples(80)
@given(changes(ALL_KINDS), st.lists(ALL_KINDS, min_size=1, max_size=3))
def test_a_view_that_heard_of_every_change(heard: list[Change], probes: list[Doc]) -> None:
    keeps_up(heard, probes)


@examples(80)
@given(changes(KIN_KINDS), st.lists(KIN_KINDS, min_size=1, max_size=3))
def test_a_view_of_pods_near_and_far(heard: list[Change], probes: list[Doc]) -> None:
    keeps_up(heard, probes)


BLUE = {
    "topologyKey": HOST,
    "labelSelector": {"matchLabels": {"app": "web"}},
    "namespaceSelector": {"matchLabels": {"team": "blue"}},
}
BARE = {
    "namespace": "shop",
    "labels": {"app": "web"},
    "owner": "",
    "containers": [{"image": "none", "resources": {}}],
    "ports": [],
    "spec": {},
}


@pytest.mark.parametrize("kind", ["podAffinity", "podAntiAffinity"])
@pytest.mark.parametrize("how", [REQUIRED, PREFERRED])
@pytest.mark.parametrize("carrier", ["new", "there"])
def test_terms_follow_the_labels_of_namespaces(kind: str, how: str, carrier: str) -> None:
    """Both of the new pod and of one that is there; what was counted before is counted anew."""
    term = BLUE if how == REQUIRED else {"weight": 10, "podAffinityTerm": BLUE}
    choosy = {**BARE, "spec": {"affinity": {kind: {how: [term]}}}}
    there, new = (BARE, choosy) if carrier == "new" else (choosy, BARE)
    cluster = Cluster.of([make_node(f"n{i}", SIMPLE_NODE, None) for i in range(2)])
    cluster.namespaces = {"shop": {"team": "red"}}
    cluster.bind(make_pod("old-0", there), "n0")
    planner = Planner(cluster)
    pod = make_pod("new", new)
    agree(cluster, pod, planner)
    red = scheduler.scores(cluster, pod, scheduler.feasible(cluster, pod))
    relabel_namespace("shop", "blue")(cluster, planner)
    agree(cluster, pod, planner)
    assert scheduler.scores(cluster, pod, scheduler.feasible(cluster, pod)) != red
    relabel_namespace("shop", "red")(cluster, planner)
    agree(cluster, pod, planner)


@pytest.mark.parametrize("asked", [{}, {"example.com/gpu": "1"}])
def test_a_resource_that_nodes_get_and_lose(asked: dict[str, str]) -> None:
    """As when a device plug-in begins and ends: nothing else of the node changes. A pod that is
    already there asks for it as well."""
    container = {"image": "none", "resources": {"requests": asked}}
    pod, other = (make_pod(name, {**BARE, "containers": [container]}) for name in ("new", "old-0"))
    cluster = Cluster.of([make_node("n0", SIMPLE_NODE, None)])
    planner = Planner(cluster)
    agree(cluster, pod, planner)
    cluster.bind(other, "n0")
    planner.bind(other, "n0")
    for gpus in ("2", "1", "0"):
        amounts = {**SIMPLE_NODE["allocatable"], "example.com/gpu": gpus}
        put_node("n0", {**SIMPLE_NODE, "allocatable": amounts}, None)(cluster, planner)
        agree(cluster, pod, planner)
    put_node("n0", SIMPLE_NODE, None)(cluster, planner)
    agree(cluster, pod, planner)
