"""Offers: who is offered which node, how they stand in the view, and their life in a cluster."""

from __future__ import annotations

from typing import Any

from longshore.core.objects.kinds import Doc
from longshore.core.objects.offers import ANNOTATION
from longshore.core.objects.pod_requests import amount, written
from longshore.machinery.scheduler.offers.held import HeldOffers, Standing
from longshore.machinery.scheduler.offers.plan import Grant, ask_of, dominant_share, grants
from longshore.machinery.scheduler.pods.podclass import PodClasses
from longshore.machinery.scheduler.view.view import ClusterView

from .placing import node, pod

GIB = 1024**3
CLASSES = PodClasses()


def offer(name: str, scheduler: str = "mesos", node_name: str = "", **more: Any) -> Doc:
    """more: resources, labels."""
    spec: Doc = {"schedulerName": scheduler, "resources": more.get("resources", {})}
    if node_name:
        spec["nodeName"] = node_name
    if "labels" in more:
        spec["nodeSelector"] = more["labels"]
    return {"metadata": {"name": name, "uid": f"uid-{name}"}, "spec": spec}


def foreign(name: str, where: str, cpu: str, of: str = "") -> Doc:
    made = pod(name, {"cpu": cpu}, node=where, schedulerName="mesos")
    made["metadata"]["annotations"] = {ANNOTATION: of} if of else {}
    return made


def cluster(*nodes: Doc) -> ClusterView:
    view = ClusterView()
    for one in nodes:
        view.put_node(one)
    return view


def granted(view: ClusterView, *offers: Doc, **used: dict[str, int]) -> list[Grant]:
    return grants(view, [ask_of(one) for one in offers], used)


def places(found: list[Grant]) -> list[tuple[str, str]]:
    return [(one.ask.name, one.node) for one in found]


# ---- the plan


def test_an_offer_is_all_that_is_free_on_the_emptiest_node() -> None:
    view = cluster(node("a", "4", pods=10), node("b", "8", extended={"gpu.io/x": "2"}))
    view.put_pod("p", "b", CLASSES.of(pod("p", {"cpu": "5"})))
    (found,) = granted(view, offer("o1"))
    assert found == Grant(ask_of(offer("o1")), "a", {"cpu": 4000, "memory": 8 * GIB, "pods": 10})
    picky = offer("o1", resources={"gpu.io/x": "1"})
    (found,) = granted(view, picky)
    left = {"cpu": 3000, "memory": 8 * GIB, "pods": 109, "gpu.io/x": 2}
    assert found == Grant(ask_of(picky), "b", left)


def test_no_node_is_in_two_grants() -> None:
    view = cluster(node("a"), node("b"))
    found = granted(view, offer("o1"), offer("o2"), offer("o3", "other"))
    assert sorted(one.node for one in found) == ["a", "b"]
    assert len(granted(view, offer("o1"), offer("o2"))) == 2, "the view is as it was"


def test_what_is_asked_for_is_heeded() -> None:
    view = cluster(
        node("small", "2"), node("far", "16", labels={"zone": "z2"}), node("near", labels={"zone": "z1"}),
        node("kept", "32", taints=["only=me:NoSchedule"], labels={"zone": "z1"}),
        node("closed", "32", unschedulable=True, labels={"zone": "z1"}),
    )  # fmt: skip
    assert places(granted(view, offer("o", labels={"zone": "z1"}))) == [("o", "near")]
    assert places(granted(view, offer("o", resources={"cpu": "9"}))) == [("o", "far")]
    assert granted(view, offer("o", resources={"cpu": "17"})) == []
    assert granted(view, offer("o", resources={"gpu.io/x": "1"})) == []


def test_who_has_the_least_is_served_first() -> None:
    view = cluster(node("a"), node("b"), node("c"))
    asks = [offer("a1", "a"), offer("a2", "a"), offer("b1", "b"), offer("b2", "b")]
    found = granted(view, *asks, a={"cpu": 1000}, b={"memory": 16 * GIB})
    # Of 12 cpu and 24 GiB: a has a twelfth, b two thirds; with one node a third more.
    assert [one.ask.name for one in found] == ["a1", "a2", "b1"]


def test_the_dominant_share_is_the_largest_part() -> None:
    total = {"cpu": 9000, "memory": 18 * GIB}
    assert dominant_share({"cpu": 1000, "memory": 4 * GIB}, total) == 4 / 18
    assert dominant_share({"cpu": 3000, "memory": 1 * GIB, "gone": 7}, total) == 3 / 9
    assert dominant_share({}, total) == 0


def test_amounts_are_written_as_people_write_them() -> None:
    for resource, value, text in (
        ("cpu", 1500, "1500m"),
        ("memory", 2 * GIB, "2Gi"),
        ("pods", 3, "3"),
    ):
        assert written(resource, value) == text
        assert amount(resource, text) == value


# ---- in the view


def free(view: ClusterView, name: str = "a") -> tuple[int, int]:
    """cpu in millis, and pods."""
    column = view.free[:, view.rows[name]]
    return int(column[view.resources["cpu"]]), int(column[view.resources["pods"]])


def stand(view: ClusterView, standing: Standing | None) -> None:
    assert standing is not None
    view.put_pod(standing.uid, standing.node, standing.pod_class)


def test_what_is_offered_is_not_free() -> None:
    view, held = cluster(node("a", "8", pods=20)), HeldOffers()
    stand(view, held.put(offer("o", node_name="a", resources={"cpu": "6", "pods": "5"})))
    assert free(view) == (2000, 15)
    assert held.used() == {"mesos": {"cpu": 6000, "pods": 5}}
    view.drop_pod(held.drop("o"))
    assert free(view) == (8000, 20)
    assert held.used() == {}


def test_what_is_taken_of_an_offer_is_counted_once() -> None:
    view, held = cluster(node("a", "8", pods=20)), HeldOffers()
    stand(view, held.put(offer("o", node_name="a", resources={"cpu": "6", "pods": "5"})))
    taken = foreign("p", "a", "4", "o")
    view.put_pod("p", "a", CLASSES.of(taken))
    stand(view, held.took("p", taken))
    assert held.took("p", taken) is None, "it is heard of again and again"
    assert free(view) == (2000, 15)
    assert held.used()["mesos"]["cpu"] == 6000
    view.drop_pod("p")
    stand(view, held.ended("p"))
    assert free(view) == (2000, 15)


def test_a_pod_may_be_heard_of_before_its_offer() -> None:
    view, held = cluster(node("a", "8", pods=20)), HeldOffers()
    taken = foreign("p", "a", "4", "o")
    view.put_pod("p", "a", CLASSES.of(taken))
    assert held.took("p", taken) is None
    stand(view, held.put(offer("o", node_name="a", resources={"cpu": "6", "pods": "5"})))
    assert free(view) == (2000, 15)


def test_pods_of_others_count_whether_offered_or_not() -> None:
    held = HeldOffers()
    held.took("p", foreign("p", "a", "3"))
    assert held.used() == {"mesos": {"cpu": 3000, "pods": 1}}
    held.ended("p")
    assert held.used() == {"mesos": {"cpu": 0, "pods": 0}}
