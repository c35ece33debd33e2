"""Ports of the host that the scheduler chooses: free ones, and none twice."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from longshore.core.objects.dynamic_ports import ASKED, FIRST, GIVEN, LAST
from longshore.core.objects.kinds import Doc

from .placing import class_of, explain, node, place, pod, view_of

PORTS = [
    {"name": "http", "containerPort": 80},
    {"name": "dns", "containerPort": 53, "protocol": "UDP"},
]


def asking(names: str = "http", given: dict[str, int] | None = None, **spec: Any) -> Doc:
    made = pod("p", ports=PORTS, **spec)
    made["metadata"]["annotations"] = {ASKED: names}
    if given is not None:
        made["metadata"]["annotations"][GIVEN] = orjson.dumps(given).decode()
    return made


def test_ports_are_free_ones_of_the_range_and_each_its_own() -> None:
    view = view_of(node("a"))
    view.put_pod("u", "a", class_of(asking("http", {"http": FIRST})))
    view.put_pod("v", "a", class_of(pod("q", ports=[{"containerPort": 1, "hostPort": FIRST + 1}])))
    asked = class_of(asking("http,dns"))
    assert asked.dynamic == (("http", "TCP"), ("dns", "UDP"))
    found = view.ports.free(0, asked.dynamic, seed=0)
    assert found == {"http": FIRST + 2, "dns": FIRST + 3}
    assert view.ports.free(0, asked.dynamic, seed=LAST - FIRST) == {"http": LAST, "dns": FIRST}


def test_what_was_given_is_taken_and_comes_back() -> None:
    view = view_of(node("a"))
    given = class_of(asking("http", {"http": 20500}))
    assert given.dynamic == () and given.ports == (("TCP", "0.0.0.0", 20500),)
    fixed = pod("q", ports=[{"containerPort": 1, "hostPort": 20500}])
    view.put_pod("u", "a", given)
    assert place(view, fixed) == []
    view.drop_pod("u")
    assert place(view, fixed) == ["a"] and view.ports.crowded(1) == []


def test_a_node_without_free_ports_says_so() -> None:
    view = view_of(node("a", pods=20000), node("b"))
    everything = [{"containerPort": 1, "hostPort": port} for port in range(FIRST, LAST)]
    view.put_pod("u", "a", class_of(pod("q", ports=everything)))
    assert place(view, asking("http,dns")) == ["b"]
    assert place(view, asking("http")) and view.ports.free(0, (("http", "TCP"),), 0) == {
        "http": LAST
    }
    view.drop_node("b")
    assert explain(view, asking("http,dns")) == (
        "0/1 nodes are available: 1 node(s) didn't have enough free dynamic ports."
    )


def test_in_the_hosts_network_a_port_that_is_chosen_has_no_number_of_its_own() -> None:
    """There every port is given its container's number by default."""
    ports = [{"name": "http", "containerPort": 80, "hostPort": 80},
             {"name": "old", "containerPort": 81, "hostPort": 81}]  # fmt: skip
    made = pod("p", ports=ports, hostNetwork=True)
    made["metadata"]["annotations"] = {ASKED: "http"}
    assert class_of(made).ports == (("TCP", "0.0.0.0", 81),)
    assert class_of(made).dynamic == (("http", "TCP"),)


@pytest.mark.parametrize("names", ["ftp", "http,http", ""])
def test_what_cannot_be_meant_is_not_placed(names: str) -> None:
    view = view_of(node("a"))
    assert place(view, asking(names)) == ([] if names else ["a"])
