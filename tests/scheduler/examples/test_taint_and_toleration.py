"""kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration"""

from __future__ import annotations

from typing import Any

import pytest

from longshore.core.objects.kinds import Doc

from ..judged import best, fits, refusal
from ..reference.cluster import Cluster
from .objects import node, pod

EQUAL = {"key": "key1", "operator": "Equal", "value": "value1", "effect": "NoSchedule"}
UNTOLERATED = "node(s) had untolerated taint(s)"


def taint(text: str) -> Doc:
    """As `kubectl taint` takes it: key=value:Effect."""
    pair, _, effect = text.partition(":")
    key, _, value = pair.partition("=")
    return {"key": key, "value": value, "effect": effect}


def tainted(*taints: str) -> Cluster:
    return Cluster.of([node("node1", taints=[taint(one) for one in taints])])


@pytest.mark.parametrize(
    "toleration",
    [
        pytest.param(EQUAL, id="Equal"),
        pytest.param({"key": "key1", "operator": "Exists", "effect": "NoSchedule"}, id="Exists"),
        pytest.param({"key": "key1", "value": "value1"}, id="Equal is the default"),
        pytest.param({"key": "key1", "operator": "Exists"}, id="no effect is every effect"),
        pytest.param({"operator": "Exists"}, id="no key with Exists is everything"),
    ],
)
def test_tolerations_that_match(toleration: dict[str, Any]) -> None:
    assert fits(tainted("key1=value1:NoSchedule"), pod("p", tolerations=[toleration])) == {"node1"}


@pytest.mark.parametrize(
    "toleration",
    [
        pytest.param({**EQUAL, "value": "value2"}, id="another value"),
        pytest.param({**EQUAL, "key": "key2"}, id="another key"),
        pytest.param({**EQUAL, "effect": "NoExecute"}, id="another effect"),
    ],
)
def test_tolerations_that_do_not(toleration: dict[str, Any]) -> None:
    mypod = pod("p", tolerations=[toleration])
    assert refusal(tainted("key1=value1:NoSchedule"), mypod) == (
        f"0/1 nodes are available: 1 {UNTOLERATED}."
    )


def test_the_third_taint_is_not_tolerated() -> None:
    """The page's three taints and two tolerations."""
    taints = "key1=value1:NoSchedule", "key1=value1:NoExecute", "key2=value2:NoSchedule"
    both = [EQUAL, {**EQUAL, "effect": "NoExecute"}]
    assert fits(tainted(*taints), pod("p", tolerations=both)) == set()
    assert fits(tainted(*taints[:2]), pod("p", tolerations=both)) == {"node1"}
    assert fits(tainted(*taints[:2]), pod("p", tolerations=both[:1])) == set()


def test_prefer_no_schedule_is_only_a_preference() -> None:
    nodes = [
        node("shunned", taints=[taint("a=1:PreferNoSchedule"), taint("b=1:PreferNoSchedule")]),
        node("meant", taints=[taint("a=1:PreferNoSchedule")], amounts={"cpu": "8"}),
        node("cordoned", unschedulable=True),
    ]
    assert fits(Cluster.of(nodes), pod("p")) == {"shunned", "meant"}
    assert best(Cluster.of(nodes), pod("p")) == {"meant"}
    patient = pod("p", tolerations=[{"key": "b", "operator": "Exists", "effect": "NoSchedule"}])
    assert best(Cluster.of(nodes), patient) == {"meant"}
    tolerant = pod("p", tolerations=[{"operator": "Exists", "effect": "PreferNoSchedule"}])
    assert best(Cluster.of(nodes), tolerant) == {"shunned"}


def test_a_dedicated_node_and_its_users() -> None:
    """Tolerating a taint attracts nobody: the page asks for a label as well."""
    nodes = [
        node("theirs", {"dedicated": "group"}, taints=[taint("dedicated=group:NoSchedule")]),
        node("anybody's"),
    ]
    tolerations = [{"key": "dedicated", "value": "group", "effect": "NoSchedule"}]
    cluster = Cluster.of(nodes)
    assert fits(cluster, pod("p")) == {"anybody's"}
    assert fits(cluster, pod("p", tolerations=tolerations)) == {"theirs", "anybody's"}
    selected = pod("p", tolerations=tolerations, nodeSelector={"dedicated": "group"})
    assert fits(cluster, selected) == {"theirs"}


def test_a_cordoned_node() -> None:
    cluster = Cluster.of([node("n", unschedulable=True)])
    assert refusal(cluster, pod("p")) == "0/1 nodes are available: 1 node(s) were unschedulable."
    daemon = [{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}]
    assert fits(cluster, pod("p", tolerations=daemon)) == {"n"}
