"""kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node"""

from __future__ import annotations

from typing import Any

import pytest

from longshore.core.objects.kinds import Doc

from ..judged import best, fits, refusal
from ..reference.cluster import Cluster
from ..reference.profile import Profile
from .objects import HOST, PREFERRED, REQUIRED, ZONE, expression, node, pod

UNMATCHED = "node(s) didn't match Pod's node affinity/selector"


def node_affinity(*terms: Doc, preferred: tuple[Doc, ...] = ()) -> Doc:
    required = {REQUIRED: {"nodeSelectorTerms": list(terms)}} if terms else {}
    wished = {PREFERRED: list(preferred)} if preferred else {}
    return {"nodeAffinity": {**required, **wished}}


def wish(weight: int, *expressions: Doc) -> Doc:
    return {"weight": weight, "preference": {"matchExpressions": list(expressions)}}


def near(kind: str, *terms: Doc) -> Doc:
    """kind: podAffinity or podAntiAffinity; a term with a weight is only a wish."""
    required = [one for one in terms if "weight" not in one]
    return {
        kind: {
            REQUIRED: required,
            PREFERRED: [one for one in terms if one not in required],
        }
    }


def term(selector: Doc | None, key: str = ZONE, **more: Any) -> Doc:
    return {"labelSelector": selector, "topologyKey": key, **more}


# --- nodeSelector and node affinity ---


def test_node_selector() -> None:
    cluster = Cluster.of([node("a", {"disktype": "ssd"}), node("b")])
    assert fits(cluster, pod("nginx", nodeSelector={"disktype": "ssd"})) == {"a"}
    assert refusal(cluster, pod("nginx", nodeSelector={"disktype": "hdd"})) == (
        f"0/2 nodes are available: 2 {UNMATCHED}."
    )


def test_required_zones_and_a_preferred_label() -> None:
    """The page's with-node-affinity: one of two zones, rather with the other label."""
    liked = {"another-node-label-key": "another-node-label-value"}
    nodes = [
        node("plain", {ZONE: "antarctica-east1"}),
        node("liked", {ZONE: "antarctica-west1", **liked}),
        node("elsewhere", {ZONE: "antarctica-north1", **liked}),
    ]
    zones = expression(ZONE, "In", "antarctica-east1", "antarctica-west1")
    label = expression("another-node-label-key", "In", "another-node-label-value")
    affinity = node_affinity({"matchExpressions": [zones]}, preferred=(wish(1, label),))
    mypod = pod("with-node-affinity", affinity=affinity)
    assert fits(Cluster.of(nodes), mypod) == {"plain", "liked"}
    assert best(Cluster.of(nodes), mypod) == {"liked"}


def test_weights_are_added_up() -> None:
    """The page's with-affinity-preferred-weight: label-2 outweighs label-1."""
    nodes = [
        node("one", {"kubernetes.io/os": "linux", "label-1": "key-1"}),
        node("two", {"kubernetes.io/os": "linux", "label-2": "key-2"}),
        node("neither", {"kubernetes.io/os": "linux"}),
    ]
    linux = {"matchExpressions": [expression("kubernetes.io/os", "In", "linux")]}
    wishes = (
        wish(1, expression("label-1", "In", "key-1")),
        wish(50, expression("label-2", "In", "key-2")),
    )
    mypod = pod("p", affinity=node_affinity(linux, preferred=wishes))
    assert best(Cluster.of(nodes), mypod) == {"two"}
    assert best(Cluster.of([nodes[0], nodes[2]]), mypod) == {"one"}


NODES = [
    node("old", {"generation": "1"}),
    node("new", {"generation": "3", "disk": "ssd"}),
    node("odd", {"generation": "third", "disk": "hdd"}),
    node("bare"),
]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param(expression("disk", "In", "ssd", "hdd"), {"new", "odd"}, id="In"),
        pytest.param(expression("disk", "NotIn", "ssd"), {"old", "odd", "bare"}, id="NotIn"),
        pytest.param(expression("disk", "Exists"), {"new", "odd"}, id="Exists"),
        pytest.param(expression("disk", "DoesNotExist"), {"old", "bare"}, id="DoesNotExist"),
        pytest.param(expression("generation", "Gt", "2"), {"new"}, id="Gt"),
        pytest.param(expression("generation", "Lt", "2"), {"old"}, id="Lt"),
    ],
)
def test_operators(asked: Doc, expected: set[str]) -> None:
    mypod = pod("p", affinity=node_affinity({"matchExpressions": [asked]}))
    assert fits(Cluster.of(NODES), mypod) == expected


def test_terms_are_alternatives_and_expressions_are_not() -> None:
    ssd, hdd = expression("disk", "In", "ssd"), expression("disk", "In", "hdd")
    first = expression("generation", "In", "1", "3")
    either = node_affinity({"matchExpressions": [ssd]}, {"matchExpressions": [hdd]})
    both = node_affinity({"matchExpressions": [ssd, first]})
    neither = node_affinity({"matchExpressions": [hdd, first]})
    assert fits(Cluster.of(NODES), pod("p", affinity=either)) == {"new", "odd"}
    assert fits(Cluster.of(NODES), pod("p", affinity=both)) == {"new"}
    assert fits(Cluster.of(NODES), pod("p", affinity=neither)) == set()


def test_selector_and_affinity_must_both_hold() -> None:
    mypod = pod(
        "p",
        nodeSelector={"disk": "hdd"},
        affinity=node_affinity({"matchExpressions": [expression("generation", "Exists")]}),
    )
    assert fits(Cluster.of(NODES), mypod) == {"odd"}


def test_affinity_of_a_profile_is_added_to_every_pod() -> None:
    """The page's foo-scheduler, whose pods only go to nodes labelled scheduler-profile=foo."""
    foo = {"matchExpressions": [expression("scheduler-profile", "In", "foo")]}
    profile = Profile(added_affinity={REQUIRED: {"nodeSelectorTerms": [foo]}})
    cluster = Cluster.of([node("a", {"scheduler-profile": "foo"}), node("b")])
    assert fits(cluster, pod("p"), profile) == {"a"}
    assert refusal(Cluster.of([node("b")]), pod("p"), profile) == (
        "0/1 nodes are available: 1 node(s) didn't match scheduler-enforced node affinity."
    )


def test_a_daemons_pod_is_tried_on_its_node_only() -> None:
    named = {"matchFields": [expression("metadata.name", "In", "a")]}
    mypod = pod("p", affinity=node_affinity(named), requests={"cpu": "100"})
    cluster = Cluster.of([node(name) for name in "abc"])
    assert refusal(cluster, mypod) == (
        "0/3 nodes are available: 1 Insufficient cpu, "
        "2 node(s) didn't satisfy plugin(s) [NodeAffinity]."
    )


# --- pods near pods ---

ZONES = [
    node("v1", {ZONE: "V"}),
    node("v2", {ZONE: "V"}),
    node("r1", {ZONE: "R"}),
    node("none"),
]
S1 = {"matchExpressions": [expression("security", "In", "S1")]}
S2 = {"matchExpressions": [expression("security", "In", "S2")]}


def test_near_security_s1() -> None:
    """The page's with-pod-affinity: only into a zone with a pod labelled security=S1."""
    cluster = Cluster.of(ZONES, [pod("s1", {"security": "S1"}, on="v1")])
    mypod = pod("p", affinity=near("podAffinity", term(S1)))
    assert fits(cluster, mypod) == {"v1", "v2"}


def test_rather_far_from_security_s2() -> None:
    pods = [pod("s1", {"security": "S1"}, on="v1"), pod("s2", {"security": "S2"}, on="v2")]
    avoid = {"weight": 100, "podAffinityTerm": term(S2, HOST)}
    affinity = near("podAffinity", term(S1)) | near("podAntiAffinity", avoid)
    cluster = Cluster.of(ZONES, pods)
    assert fits(cluster, pod("p", affinity=affinity)) == {"v1", "v2"}
    assert best(cluster, pod("p", affinity=affinity)) == {"v1"}


def test_far_from_security_s2() -> None:
    cluster = Cluster.of(ZONES, [pod("s2", {"security": "S2"}, on="r1")])
    mypod = pod("p", affinity=near("podAntiAffinity", term(S2)))
    assert fits(cluster, mypod) == {"v1", "v2", "none"}


def test_company_is_missing() -> None:
    mypod = pod("p", affinity=near("podAffinity", term(S1)))
    assert refusal(Cluster.of(ZONES), mypod) == (
        "0/4 nodes are available: 4 node(s) didn't match pod affinity rules."
    )


def test_the_first_of_a_group_that_likes_itself() -> None:
    """ "If no other Pod matches and the Pod matches its own terms, it may be scheduled"; not onto a
    node without the label all the same."""
    mypod = pod("p", {"security": "S1"}, affinity=near("podAffinity", term(S1)))
    assert fits(Cluster.of(ZONES), mypod) == {"v1", "v2", "r1"}
    cluster = Cluster.of(ZONES, [pod("s1", {"security": "S1"}, on="r1")])
    assert fits(cluster, mypod) == {"r1"}


def test_the_first_of_a_group_in_another_namespace_is_not_company() -> None:
    cluster = Cluster.of(ZONES, [pod("s1", {"security": "S1"}, on="r1", namespace="other")])
    mypod = pod("p", {"security": "S1"}, affinity=near("podAffinity", term(S1)))
    assert fits(cluster, mypod) == {"v1", "v2", "r1"}


def test_anti_affinity_works_both_ways() -> None:
    shy = pod("shy", on="v1", affinity=near("podAntiAffinity", term(S2)))
    cluster = Cluster.of(ZONES, [shy])
    assert fits(cluster, pod("p", {"security": "S2"})) == {"r1", "none"}
    only = Cluster.of(ZONES[:2], [shy])
    assert refusal(only, pod("p", {"security": "S2"})) == (
        "0/2 nodes are available: 2 node(s) didn't satisfy existing pods anti-affinity rules."
    )


def test_terms_must_be_met_by_one_pod_together() -> None:
    both = term({"matchLabels": {"a": "1"}}), term({"matchLabels": {"b": "1"}})
    mypod = pod("p", affinity=near("podAffinity", *both))
    apart = [pod("x", {"a": "1"}, on="v1"), pod("y", {"b": "1"}, on="v2")]
    assert fits(Cluster.of(ZONES, apart), mypod) == set()
    assert fits(Cluster.of(ZONES, [pod("z", {"a": "1", "b": "1"}, on="v2")]), mypod) == {"v1", "v2"}


def test_namespaces_and_their_labels() -> None:
    others = [
        pod("x", {"security": "S1"}, on="v1", namespace="red-team"),
        pod("y", {"security": "S1"}, on="r1", namespace="blue-team"),
    ]
    cluster = Cluster.of(ZONES, others)
    cluster.namespaces = {"red-team": {"colour": "red"}, "blue-team": {"colour": "blue"}}

    def asking(**more: Any) -> Doc:
        return pod("p", affinity=near("podAffinity", term(S1, **more)))

    assert fits(cluster, asking()) == set()
    assert fits(cluster, asking(namespaces=["red-team"])) == {"v1", "v2"}
    blue = {"matchLabels": {"colour": "blue"}}
    assert fits(cluster, asking(namespaceSelector=blue)) == {"r1"}
    assert fits(cluster, asking(namespaceSelector={})) == {"v1", "v2", "r1"}
    assert fits(cluster, asking(namespaces=["red-team"], namespaceSelector=blue)) == {
        "v1",
        "v2",
        "r1",
    }


def test_match_label_keys_look_at_one_revision() -> None:
    """The page's application-server: only the pods of its own rollout are company."""
    app = {"matchExpressions": [expression("app", "In", "database")]}
    pods = [
        pod("old", {"app": "database", "pod-template-hash": "1"}, on="v1"),
        pod("new", {"app": "database", "pod-template-hash": "2"}, on="r1"),
    ]
    terms = near("podAffinity", term(app, matchLabelKeys=["pod-template-hash"]))
    mypod = pod("p", {"app": "server", "pod-template-hash": "2"}, affinity=terms)
    assert fits(Cluster.of(ZONES, pods), mypod) == {"r1"}


def test_mismatch_label_keys_keep_tenants_apart() -> None:
    """The page's tenants: into the pool of one's own tenant, never into one with another's."""
    pool = "node-pool"
    nodes = [node("n1", {pool: "a"}), node("n2", {pool: "b"}), node("n3", {pool: "c"})]
    pods = [pod("x", {"tenant": "A"}, on="n1"), pod("y", {"tenant": "B"}, on="n2")]
    anyone = {"matchExpressions": [expression("tenant", "Exists")]}
    apart = near("podAntiAffinity", term(anyone, pool, mismatchLabelKeys=["tenant"]))
    mypod = pod("p", {"tenant": "A"}, affinity=apart)
    assert fits(Cluster.of(nodes, pods), mypod) == {"n1", "n3"}
    together = apart | near("podAffinity", term(anyone, pool, matchLabelKeys=["tenant"]))
    mypod = pod("p", {"tenant": "A"}, affinity=together)
    assert fits(Cluster.of(nodes, pods), mypod) == {"n1"}


def test_web_servers_beside_their_caches() -> None:
    """The page's redis-cache and web-store on three nodes: one of each on every node."""
    store, web = {"matchLabels": {"app": "store"}}, {"matchLabels": {"app": "web-store"}}
    cluster = Cluster.of([node(f"node-{i}") for i in (1, 2, 3)])
    alone = near("podAntiAffinity", term(store, HOST))
    for i in range(3):
        cache = pod(f"cache-{i}", {"app": "store"}, affinity=alone)
        cluster.bind(cache, min(best(cluster, cache)))
    assert all(len(cluster.on(one)) == 1 for one in cluster.nodes.values())
    beside = near("podAntiAffinity", term(web, HOST)) | near("podAffinity", term(store, HOST))
    for i in range(3):
        server = pod(f"web-{i}", {"app": "web-store"}, affinity=beside)
        cluster.bind(server, min(best(cluster, server)))
    assert all(len(cluster.on(one)) == 2 for one in cluster.nodes.values())
    assert refusal(cluster, pod("web-3", {"app": "web-store"}, affinity=beside)) == (
        "0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules."
    )
    more = pod("cache-3", {"app": "store"}, affinity=alone)
    assert refusal(cluster, more).endswith("3 node(s) didn't match pod anti-affinity rules.")


def test_wishes_of_pods_that_are_there_count_as_well() -> None:
    """Scoring.go: preferred terms both ways, and required affinity of pods that are there with
    hardPodAffinityWeight."""
    likes = pod(
        "likes",
        on="v1",
        affinity=near("podAffinity", {"weight": 10, "podAffinityTerm": term(S1, HOST)}),
    )
    needs = pod("needs", {"security": "S1"}, on="r1", affinity=near("podAffinity", term(S1, HOST)))
    mypod = pod("p", {"security": "S1"})
    assert best(Cluster.of(ZONES, [likes]), mypod) == {"v1"}
    assert best(Cluster.of(ZONES, [needs]), mypod) == {"r1"}
    assert best(Cluster.of(ZONES, [likes, needs]), mypod) == {"v1"}
    both = Cluster.of(ZONES, [likes, needs])
    assert best(both, mypod, Profile(hard_pod_affinity_weight=100)) == {"r1"}
    ignoring = Profile(ignore_preferred_terms_of_existing_pods=True)
    assert "v1" not in best(both, mypod, ignoring)
