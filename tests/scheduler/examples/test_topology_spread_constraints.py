"""kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints"""

from __future__ import annotations

from typing import Any

from longshore.core.objects.kinds import Doc

from ..judged import best, fits, refusal
from ..reference.cluster import Cluster
from ..reference.profile import Profile
from .objects import HOST, REQUIRED, ZONE, expression, node, pod

FOO = {"foo": "bar"}
NODES = [
    node("node1", {"zone": "zoneA", "node": "node1"}),
    node("node2", {"zone": "zoneA", "node": "node2"}),
    node("node3", {"zone": "zoneB", "node": "node3"}),
    node("node4", {"zone": "zoneB", "node": "node4"}),
]
ONE_EACH = [pod(f"p{i}", FOO, on=f"node{i}") for i in (1, 2, 3)]
UNEVEN = "node(s) didn't match pod topology spread constraints"


def constraint(key: str = "zone", **more: Any) -> Doc:
    return {
        "maxSkew": 1,
        "topologyKey": key,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": FOO},
        **more,
    }


def spread(*constraints: Doc, labels: dict[str, str] | None = None, **more: Any) -> Doc:
    return pod(
        "mypod",
        FOO if labels is None else labels,
        topologySpreadConstraints=list(constraints),
        **more,
    )


def test_one_constraint_leaves_only_the_other_zone() -> None:
    assert fits(Cluster.of(NODES, ONE_EACH), spread(constraint())) == {"node3", "node4"}


def test_a_greater_skew_allows_both_zones() -> None:
    mypod = spread(constraint(maxSkew=2))
    assert fits(Cluster.of(NODES, ONE_EACH), mypod) == {"node1", "node2", "node3", "node4"}


def test_spread_over_nodes_instead_of_zones() -> None:
    assert fits(Cluster.of(NODES, ONE_EACH), spread(constraint("node"))) == {"node4"}


def test_schedule_anyway_only_prefers_the_emptier_zone() -> None:
    cluster = Cluster.of(NODES, ONE_EACH)
    mypod = spread(constraint(whenUnsatisfiable="ScheduleAnyway"))
    assert fits(cluster, mypod) == {"node1", "node2", "node3", "node4"}
    assert best(cluster, mypod) == {"node4"}


def test_two_constraints_must_both_hold() -> None:
    mypod = spread(constraint(), constraint("node"))
    assert fits(Cluster.of(NODES, ONE_EACH), mypod) == {"node4"}


def conflicting(*without_zone: str) -> Cluster:
    """Three nodes of two zones: two pods and one in zone A, two on the only node of zone B."""
    nodes = [
        node(name, {"node": name} | ({} if name in without_zone else {"zone": zone}))
        for name, zone in (("node1", "zoneA"), ("node2", "zoneA"), ("node3", "zoneB"))
    ]
    places = ["node1", "node1", "node2", "node3", "node3"]
    return Cluster.of(nodes, [pod(f"p{i}", FOO, on=place) for i, place in enumerate(places)])


def test_constraints_can_conflict() -> None:
    mypod = spread(constraint(), constraint("node"))
    assert refusal(conflicting(), mypod) == f"0/3 nodes are available: 3 {UNEVEN}."


def test_a_conflict_ends_with_a_greater_skew_or_a_mere_wish() -> None:
    assert fits(conflicting(), spread(constraint(maxSkew=2), constraint("node"))) == {"node2"}
    wish = constraint("node", whenUnsatisfiable="ScheduleAnyway")
    assert fits(conflicting(), spread(constraint(), wish)) == {"node3"}


def test_nodes_that_the_pod_cannot_use_do_not_count() -> None:
    cluster = Cluster.of([*NODES, node("node5", {"zone": "zoneC", "node": "node5"})], ONE_EACH)
    terms = [{"matchExpressions": [expression("zone", "NotIn", "zoneC")]}]
    affinity = {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": terms}}}
    assert fits(cluster, spread(constraint(), affinity=affinity)) == {"node3", "node4"}
    assert fits(cluster, spread(constraint())) == {"node5"}


def test_node_affinity_can_be_ignored_when_counting() -> None:
    cluster = Cluster.of([*NODES, node("node5", {"zone": "zoneC", "node": "node5"})], ONE_EACH)
    terms = [{"matchExpressions": [expression("zone", "NotIn", "zoneC")]}]
    affinity = {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": terms}}}
    mypod = spread(constraint(nodeAffinityPolicy="Ignore"), affinity=affinity)
    assert refusal(cluster, mypod) == (
        f"0/5 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 4 {UNEVEN}."
    )


def test_tainted_nodes_count_unless_taints_are_honoured() -> None:
    taints = [{"key": "k", "value": "v", "effect": "NoSchedule"}]
    nodes = [*NODES, node("node5", {"zone": "zoneC", "node": "node5"}, taints=taints)]
    cluster = Cluster.of(nodes, ONE_EACH)
    assert fits(cluster, spread(constraint(nodeTaintsPolicy="Honor"))) == {"node3", "node4"}
    assert refusal(cluster, spread(constraint())) == (
        f"0/5 nodes are available: 1 node(s) had untolerated taint(s), 4 {UNEVEN}."
    )


def test_only_pods_of_the_same_namespace_count() -> None:
    others = [pod(f"o{i}", FOO, on="node3", namespace="other") for i in range(3)]
    cluster = Cluster.of(NODES, [*ONE_EACH, *others])
    assert fits(cluster, spread(constraint())) == {"node3", "node4"}


def test_pods_on_nodes_without_the_label_do_not_count() -> None:
    """The page's example: node1 has no zone, so its two pods are disregarded."""
    assert fits(conflicting("node1"), spread(constraint())) == {"node2"}


def test_a_mistyped_label_bypasses_a_node() -> None:
    cluster = Cluster.of([*NODES, node("node5", {"zone-typo": "zoneC"})], ONE_EACH)
    assert fits(cluster, spread(constraint())) == {"node3", "node4"}
    full = Cluster.of([node("node5", {"zone-typo": "zoneC"})])
    assert refusal(full, spread(constraint())) == (
        f"0/1 nodes are available: 1 {UNEVEN} (missing required label)."
    )


def test_a_pod_that_does_not_count_itself() -> None:
    """Without its labels it may still go to zone B, and leaves the imbalance as it was."""
    assert fits(Cluster.of(NODES, ONE_EACH), spread(constraint(), labels={})) >= {"node3", "node4"}


def test_the_pages_global_minimum() -> None:
    """Three zones with 2, 2 and 1 matching pods: with maxSkew 1 only the third takes one more."""
    nodes = [node(name, {"zone": name}) for name in ("a", "b", "c")]
    pods = [pod(f"p{i}", FOO, on=place) for i, place in enumerate("aabbc")]
    assert fits(Cluster.of(nodes, pods), spread(constraint())) == {"c"}


def test_too_few_domains_make_the_minimum_zero() -> None:
    """KEP-3022: two zones with a pod each; three are asked for, so nothing more than maxSkew pods
    may be in one."""
    nodes = [node(name, {"zone": name}) for name in ("a", "b")]
    cluster = Cluster.of(nodes, [pod("p1", FOO, on="a"), pod("p2", FOO, on="b")])
    assert fits(cluster, spread(constraint(minDomains=2))) == {"a", "b"}
    mypod = spread(constraint(minDomains=3))
    assert refusal(cluster, mypod) == f"0/2 nodes are available: 2 {UNEVEN}."


def test_match_label_keys_tell_revisions_apart() -> None:
    nodes = [node(name) for name in ("a", "b")]
    old = {"app": "foo", "pod-template-hash": "1"}
    cluster = Cluster.of(nodes, [pod("p1", old, on="a"), pod("p2", old, on="a")])
    selector = {"labelSelector": {"matchLabels": {"app": "foo"}}}
    new = {"app": "foo", "pod-template-hash": "2"}
    plain, keyed = (
        constraint(HOST, **selector),
        constraint(HOST, matchLabelKeys=["pod-template-hash"], **selector),
    )
    assert fits(cluster, spread(plain, labels=new)) == {"b"}
    assert fits(cluster, spread(keyed, labels=new)) == {"a", "b"}
    assert fits(cluster, spread(keyed, labels=old)) == {"b"}


def test_leaving_pods_do_not_count() -> None:
    leaving = pod("p4", FOO, on="node3")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    cluster = Cluster.of(NODES, [*ONE_EACH, leaving])
    assert fits(cluster, spread(constraint())) == {"node3", "node4"}


def workload(count: int, *places: str) -> list[Doc]:
    return [pod(f"p{i}", owner="set", on=places[i % len(places)]) for i in range(count)]


def test_built_in_defaults_spread_a_workload_over_hosts_and_zones() -> None:
    nodes = [node(f"{zone}{i}", {ZONE: zone}) for zone in "ab" for i in (1, 2)]
    cluster = Cluster.of(nodes, workload(1, "a1"))
    assert best(cluster, pod("next", owner="set")) == {"b1", "b2"}
    cluster = Cluster.of(nodes, workload(3, "a1", "b1", "a2"))
    assert best(cluster, pod("next", owner="set")) == {"b2"}


def test_built_in_defaults_do_not_need_the_zone_label() -> None:
    nodes = [node("a"), node("b")]
    cluster = Cluster.of(nodes, workload(2, "a"))
    assert best(cluster, pod("next", owner="set")) == {"b"}


def test_who_names_constraints_gets_no_defaults() -> None:
    nodes = [node("a", {"zone": "a"}), node("b", {"zone": "b"})]
    cluster = Cluster.of(nodes, [pod("p", FOO, owner="set", on="a", requests={"cpu": "1"})])
    cluster.bind(pod("q", requests={"cpu": "2"}), "b")
    hard = spread(constraint(maxSkew=5), owner="set")
    assert best(cluster, hard) == {"a"}
    assert best(cluster, pod("next", FOO, owner="set")) == {"b"}


def test_defaults_of_a_profile() -> None:
    """The page's example: only zones are spread over; and the one that turns defaults off."""
    nodes = [node("a1", {ZONE: "a"}), node("a2", {ZONE: "a"}), node("b1", {ZONE: "b"})]
    zones = ({"maxSkew": 1, "topologyKey": ZONE, "whenUnsatisfiable": "ScheduleAnyway"},)
    busy = [pod(f"x{i}", on="b1", requests={"cpu": "20"}) for i in range(2)]
    cluster = Cluster.of(nodes, [*workload(1, "a1"), *busy])
    mine = pod("next", owner="set")
    assert best(cluster, mine, Profile(constraints=zones)) == {"b1"}
    assert best(cluster, mine, Profile(constraints=())) == {"a2"}


def test_defaults_of_a_profile_can_be_demands() -> None:
    zones = ({"maxSkew": 1, "topologyKey": ZONE, "whenUnsatisfiable": "DoNotSchedule"},)
    nodes = [node("a1", {ZONE: "a"}), node("a2", {ZONE: "a"}), node("b1", {ZONE: "b"})]
    cluster = Cluster.of(nodes, workload(1, "a1"))
    assert fits(cluster, pod("next", owner="set"), Profile(constraints=zones)) == {"b1"}
    assert fits(cluster, pod("alone"), Profile(constraints=zones)) == {"a1", "a2", "b1"}
