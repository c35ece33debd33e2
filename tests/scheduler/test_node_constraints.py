"""Constraints on nodes: where pods may go, where they rather go, and how far apart."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from longshore.core.objects.constraints import ANNOTATION
from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler.desk import Desk

from .placing import class_of, explain, node, place, pod, view_of


def asking(*constraints: Doc, name: str = "p", owner: str = "") -> Doc:
    made = pod(name, owner=owner)
    made["metadata"]["annotations"] = {ANNOTATION: orjson.dumps(constraints).decode()}
    return made


def machine(name: str, kernel: str = "6.1.0", **labels: str) -> Doc:
    made = node(name, labels=labels)
    made["status"]["nodeInfo"] = {"kernelVersion": kernel, "operatingSystem": "linux"}
    return made


NODES = [machine("a", "5.4.0", rack="r1", disks="ssd,hdd"), machine("b", rack="r1"),
         machine("c", "6.6.1", rack="r2", disks="ssd")]  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "fits"),
    [
        ({"attribute": "rack", "value": "r1"}, "ab"),
        ({"attribute": "rack", "operator": "!=", "value": "r1"}, "c"),
        ({"attribute": "node:name", "operator": "regexp", "value": "^[bc]$"}, "bc"),
        ({"attribute": "node:kernel", "operator": "semver", "value": ">= 6.0.0"}, "bc"),
        ({"attribute": "node:os", "value": "linux"}, "abc"),
        ({"attribute": "disks", "operator": "set_contains", "value": "ssd,hdd"}, "a"),
        ({"attribute": "disks", "operator": "is_not_set"}, "b"),
        ({"attribute": "disks", "operator": "!=", "value": "ssd"}, "ab"),
        ({"attribute": "color", "operator": "is_set"}, ""),
    ],
)
def test_demands_choose_nodes(asked: Doc, fits: str) -> None:
    for name in "abc":
        view = view_of(*(one for one in NODES if one["metadata"]["name"] == name))
        assert (place(view, asking(asked)) == [name]) == (name in fits)


def test_a_refusal_names_the_constraint() -> None:
    asked = asking({"attribute": "rack", "value": "r9"},
                   {"attribute": "node:kernel", "operator": "version", "value": ">= 7"})  # fmt: skip
    assert explain(view_of(*NODES), asked) == (
        "0/3 nodes are available: 3 node(s) didn't meet constraint node:kernel version >= 7, "
        "3 node(s) didn't meet constraint rack = r9."
    )


def test_wishes_are_weighed_against_each_other() -> None:
    liked = {"attribute": "rack", "value": "r1", "weight": 50}
    shunned = {"attribute": "disks", "operator": "is_set", "weight": -60}
    assert place(view_of(*NODES), asking(liked, shunned)) == ["b"]
    assert place(view_of(*NODES), asking({**liked, "weight": -1})) == ["c"]


def test_distinct_hosts_has_one_pod_of_a_controller_on_each_node() -> None:
    view = view_of(*NODES)
    apart = asking({"operator": "distinct_hosts"}, owner="rs")
    assert sorted(place(view, apart, 5)) == ["a", "b", "c"]
    view.put_pod("u", "b", class_of(asking({"operator": "distinct_hosts"}, owner="rs")))
    assert sorted(place(view, apart, 5)) == ["a", "c"]
    others = asking({"operator": "distinct_hosts"}, owner="another")
    assert len(place(view, others, 5)) == 3
    only_b = view_of(NODES[1])
    only_b.put_pod("u", "b", class_of(apart))
    assert explain(only_b, apart) == (
        "0/1 nodes are available: 1 node(s) had a pod of the same controller, which constraint "
        "distinct_hosts forbids."
    )


def test_a_pod_on_its_way_out_still_has_its_host() -> None:
    view = view_of(NODES[0])
    leaving: dict[str, Any] = asking({"operator": "distinct_hosts"}, owner="rs")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    view.put_pod("u", "a", class_of(leaving))
    assert place(view, asking({"operator": "distinct_hosts"}, owner="rs")) == []


@pytest.mark.parametrize(("most", "placed"), [(1, 2), (2, 4), (None, 2)])
def test_distinct_property_bounds_the_pods_of_a_value(most: int | None, placed: int) -> None:
    asked: Doc = {"attribute": "rack", "operator": "distinct_property"}
    if most is not None:
        asked["value"] = most
    view = view_of(*NODES, machine("nowhere"))
    found = place(view, asking(asked, owner="rs"), 9)
    assert len(found) == placed and "nowhere" not in found
    assert found.count("c") == placed // 2


def test_a_pod_that_leaves_makes_room_on_all_nodes_of_its_value() -> None:
    """What it leaves is not only its own node."""
    desk = Desk()
    rack = {name: machine(name, rack="r1") for name in "ab"}
    for doc in rack.values():
        desk.view.put_node(doc)
    asked = {"attribute": "rack", "operator": "distinct_property"}
    for name in ("p0", "p1"):
        desk.see_pod(asking(asked, name=name, owner="rs"))
    first = {pod.name: where for pod, where in desk.turn().bound}
    assert len(first) == 1 and not desk.has_work()
    [(name, where)] = first.items()
    desk.view.put_node({**rack[where], "spec": {"unschedulable": True}})
    desk.forget(f"uid-{name}")
    assert len(desk.turn().bound) == 1


def test_what_cannot_be_read_is_not_placed() -> None:
    """It is refused when it is made; but a backup may hold anything."""
    broken = pod("p")
    broken["metadata"]["annotations"] = {ANNOTATION: "rack=r1"}
    assert place(view_of(*NODES), broken) == []
    assert explain(view_of(*NODES), broken).startswith(
        f"metadata.annotations[{ANNOTATION}]: not JSON"
    )
