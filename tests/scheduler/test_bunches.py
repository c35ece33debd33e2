"""Which single pods are placed as if they were of one class."""

from __future__ import annotations

from typing import Any

from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler.bunches import bunched
from longshore.machinery.scheduler.plan import plan
from longshore.machinery.scheduler.pods.podclass import PodClass, PodClasses
from longshore.machinery.scheduler.profile import DEFAULT
from longshore.machinery.scheduler.view.view import ClusterView

from .placing import node, pod, view_of
from .test_classes import apart_from, labelled


def owned(name: str, owner: str = "", **spec: Any) -> Doc:
    doc = labelled(name, {"app": name}, **spec)
    doc["metadata"]["ownerReferences"] = [{"uid": owner or f"of-{name}", "controller": True}]
    return doc


def bunches(view: ClusterView, *docs: Doc) -> list[list[str]]:
    classes = PodClasses()
    wanted: dict[PodClass, list[str]] = {}
    for doc in docs:
        wanted.setdefault(classes.of(doc), []).append(doc["metadata"]["name"])
    found = bunched(view, wanted, DEFAULT)
    return [[name for _, name in members] for _, members in found]


def some_nodes() -> ClusterView:
    return view_of(*(node(f"n{i}") for i in range(6)))


def test_single_pods_of_one_size_are_a_bunch() -> None:
    docs = [owned("a"), owned("b"), pod("c"), pod("big", {"cpu": "1"})]
    assert bunches(some_nodes(), *docs) == [["a", "b", "c"], ["big"]]


def test_pods_of_one_controller_matter_to_one_another() -> None:
    docs = [owned("a", "rs"), owned("b", "rs"), owned("c")]
    assert bunches(some_nodes(), *docs) == [["a"], ["b"], ["c"]]


def test_a_peer_that_is_there_matters() -> None:
    view = some_nodes()
    view.put_pod("x", "n0", PodClasses().of(owned("x", "of-a")))
    assert bunches(view, owned("a"), owned("b"), owned("c")) == [["a"], ["b", "c"]]


def test_who_says_something_of_others_keeps_all_apart() -> None:
    shy = labelled("shy", {}, affinity=apart_from(app="a"))
    assert bunches(some_nodes(), owned("a"), owned("b"), shy) == [["a"], ["b"], ["shy"]]


def test_who_is_meant_by_a_pod_that_is_there_is_placed_alone() -> None:
    view = some_nodes()
    view.put_pod("shy", "n0", PodClasses().of(labelled("shy", {}, affinity=apart_from(app="a"))))
    assert bunches(view, owned("a"), owned("b"), owned("c")) == [["a"], ["b", "c"]]


def test_ports_of_the_host_and_claims_are_nobody_else_s() -> None:
    port = [{"containerPort": 80, "hostPort": 80}]
    docs = [pod(name, ports=port, priority=n) for n, name in enumerate("ab")]
    for doc in docs:
        doc["metadata"]["labels"] = {"app": doc["metadata"]["name"]}
    assert bunches(some_nodes(), *docs) == [["a"], ["b"]]


def test_a_bunch_is_placed_as_its_pods_would_be_one_by_one() -> None:
    view, classes = some_nodes(), PodClasses()
    view.put_pod("x", "n3", classes.of(pod("x", {"cpu": "2"})))
    asked = [(f"p{n}", classes.of(owned(f"p{n}"))) for n in range(12)]
    together = plan(view, asked, seed=2).placements
    alone: dict[str, str] = {}
    for uid, pod_class in asked:
        alone |= plan(view, [(uid, pod_class)], seed=2).placements
        view.put_pod(uid, alone[uid], pod_class)
    assert together == alone


def test_what_is_too_much_for_a_bunch_is_refused_pod_by_pod() -> None:
    classes = PodClasses()
    asked = [(f"p{n}", classes.of(owned(f"p{n}"))) for n in range(40)]
    decision = plan(view_of(node("a", pods=30)), asked, seed=0)
    assert sorted(decision.placements) == sorted(uid for uid, _ in asked[:30])
    assert set(decision.refusals.values()) == {"0/1 nodes are available: 1 Too many pods."}
