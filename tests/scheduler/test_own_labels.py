"""Labels that tell the pods of one workload apart do not tell classes apart, until somebody asks."""

from __future__ import annotations

from typing import Any

from longshore.cluster.simulate.decide import heard
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler.desk import Desk
from longshore.machinery.scheduler.pods.podclass import PodClasses
from longshore.machinery.scheduler.profile import PROFILES, Profile

from .placing import node, pod
from .worlds import HOST, REQUIRED

INDEX = "apps.kubernetes.io/pod-index"


def indexed(name: str, index: int, **spec: Any) -> Doc:
    doc = pod(name, owner="set", **spec)
    doc["metadata"]["labels"] = {"app": "db", INDEX: str(index)}
    return doc


def apart_from(index: int) -> Doc:
    term = {"topologyKey": HOST, "labelSelector": {"matchLabels": {INDEX: str(index)}}}
    return {"podAntiAffinity": {REQUIRED: [term]}}


def hear(desk: Desk, *pods: Doc) -> None:
    for name in ("a", "b"):
        desk.view.put_node(node(name))
    for one in pods:
        desk.see_pod(one)


def test_the_pods_of_a_set_are_one_class() -> None:
    classes = PodClasses()
    assert classes.of(indexed("db-0", 0)) is classes.of(indexed("db-1", 1))
    assert not classes.stale


def test_a_selector_that_asks_for_the_label_tells_them_apart() -> None:
    classes = PodClasses()
    classes.of(indexed("db-0", 0))
    classes.of(pod("picky", affinity=apart_from(0)))
    assert classes.stale
    renewed = classes.renewed()
    assert renewed.of(indexed("db-0", 0)) is not renewed.of(indexed("db-1", 1))
    renewed.of(pod("picky", affinity=apart_from(0)))
    assert not renewed.stale


def test_a_desk_that_reads_everything_anew_keeps_them_apart() -> None:
    there = indexed("db-0", 0, node="a"), indexed("db-1", 1, node="b")
    picky = pod("picky", affinity=apart_from(1))
    desk = Desk()
    hear(desk, *there, picky)
    assert desk.is_stale
    renewed = desk.emptied()
    hear(renewed, *there, picky)
    assert not renewed.is_stale
    assert [(one.name, where) for one, where in renewed.turn().bound] == [("picky", "a")]


def test_a_budget_that_asks_for_the_label_tells_them_apart() -> None:
    desk = Desk()
    spec = {"selector": {"matchLabels": {INDEX: "0"}}, "minAvailable": 1}
    budget = {"metadata": {"namespace": "shop", "name": "first"}, "spec": spec}
    hear(desk, indexed("db-0", 0, node="a"))
    before = desk.is_stale
    desk.hear(heard(kinds.PDB, budget))
    assert (before, desk.is_stale) == (False, True)
    renewed = desk.emptied()
    renewed.hear(heard(kinds.PDB, budget))
    assert not renewed.is_stale


def test_services_ask_for_labels_where_it_matters_what_they_select() -> None:
    zone = "topology.kubernetes.io/zone"
    service = {
        "metadata": {"namespace": "shop", "name": "near"}, "spec": {"selector": {zone: "a"}},
    }  # fmt: skip
    regional = {"default-scheduler": Profile(affinity_labels=("region",))}
    for profiles, stale in ((PROFILES, False), (regional, True)):
        desk = Desk(profiles)
        desk.hear(heard(kinds.SERVICE, service))
        assert desk.is_stale is stale
