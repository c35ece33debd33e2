"""kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption"""

from __future__ import annotations

from typing import Any

from longshore.core.objects.kinds import Doc

from ..reference.cluster import Cluster
from ..reference.preemption import Choice, best
from .objects import REQUIRED, ZONE, node, pod


def sized(name: str, priority: int, cpu: str = "1", **more: Any) -> Doc:
    started = more.pop("started", "2026-01-01T00:00:00Z")
    one = pod(name, requests={"cpu": cpu}, priority=priority, **more)
    one["status"]["startTime"] = started
    return one


def small(*names: str, **labels: str) -> list[Doc]:
    return [node(name, labels, amounts={"cpu": "2"}) for name in names]


def budget(allowed: int, **labels: str) -> Doc:
    return {
        "metadata": {"name": "budget", "namespace": "default"},
        "spec": {"selector": {"matchLabels": labels}},
        "status": {"disruptionsAllowed": allowed},
    }


def test_pods_of_lower_priority_make_room() -> None:
    there = [sized("low", 1, on="n"), sized("high", 9, on="n")]
    assert best(Cluster.of(small("n"), there), sized("p", 5)) == {"n": Choice(("low",), 0)}


def test_equals_do_not() -> None:
    there = [sized("x", 5, "2", on="n")]
    assert best(Cluster.of(small("n"), there), sized("p", 5)) == {}


def test_a_patient_pod_waits() -> None:
    there = [sized("x", 1, "2", on="n")]
    patient = sized("p", 5, preemptionPolicy="Never")
    assert best(Cluster.of(small("n"), there), patient) == {}


def test_no_more_pods_go_than_have_to() -> None:
    there = [sized("a", 1, on="n"), sized("b", 2, on="n")]
    assert best(Cluster.of(small("n"), there), sized("p", 5)) == {"n": Choice(("a",), 0)}


def test_nobody_goes_where_it_would_not_help() -> None:
    there = [sized("low", 1, on="n"), sized("high", 9, on="n")]
    assert best(Cluster.of(small("n"), there), sized("p", 5, "2")) == {}


def test_budgets_are_spared_where_that_is_possible() -> None:
    there = [
        sized("guarded", 1, "2", labels={"app": "db"}, on="a"),
        sized("free", 3, "2", on="b"),
    ]
    cluster = Cluster.of(small("a", "b"), there)
    assert set(best(cluster, sized("p", 5))) == {"a"}
    assert set(best(cluster, sized("p", 5), [budget(0, app="db")])) == {"b"}
    assert set(best(cluster, sized("p", 5), [budget(1, app="db")])) == {"a"}


def test_budgets_are_violated_where_nothing_else_helps() -> None:
    there = [sized("guarded", 1, "2", labels={"app": "db"}, on="a")]
    cluster = Cluster.of(small("a"), there)
    assert best(cluster, sized("p", 5), [budget(0, app="db")]) == {"a": Choice(("guarded",), 1)}


def test_affinity_to_a_victim_rules_its_node_out() -> None:
    near = {"labelSelector": {"matchLabels": {"app": "db"}}, "topologyKey": ZONE}
    there = [sized("db", 1, "2", labels={"app": "db"}, on="a")]
    nodes = small("a", **{ZONE: "z"})
    fond = sized("p", 5, affinity={"podAffinity": {REQUIRED: [near]}})
    assert best(Cluster.of(nodes, there), fond) == {}


def test_no_pod_goes_from_another_node() -> None:
    """The page's P and Q: anti-affinity over a zone to a pod on another node of it."""
    far = {"labelSelector": {"matchLabels": {"app": "q"}}, "topologyKey": ZONE}
    nodes = [*small("n", "other", **{ZONE: "z"})]
    q = sized("q", 1, labels={"app": "q"}, on="other")
    low = sized("low", 1, "2", on="n")
    shy = sized("p", 5, affinity={"podAntiAffinity": {REQUIRED: [far]}})
    assert set(best(Cluster.of(nodes, [q, low]), shy)) == {"other"}


def test_the_node_with_the_least_important_victims() -> None:
    """In turn: the lowest of the highest priorities, the lowest sum, the fewest, the latest start."""
    nodes = small("a", "b")

    def first(*there: Doc) -> set[str]:
        return set(best(Cluster.of(nodes, there), sized("p", 5, "2")))

    assert first(sized("x", 2, "2", on="a"), sized("y", 3, "2", on="b")) == {"a"}
    assert first(
        sized("x", 3, on="a"), sized("y", 1, on="a"), sized("z", 3, on="b"), sized("u", 2, on="b")
    ) == {"a"}
    assert first(sized("x", 3, "2", on="a"), sized("y", 3, on="b"), sized("z", 0, on="b")) == {"a"}
    later = "2026-01-02T00:00:00Z"
    assert first(sized("x", 3, "2", on="a"), sized("y", 3, "2", on="b", started=later)) == {"b"}
