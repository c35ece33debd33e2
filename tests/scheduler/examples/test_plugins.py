"""Scores as the unit tests of upstream's plug-ins have them (pkg/scheduler/framework/plugins).

Upstream rounds down to whole numbers on the way; the reference does not, so what it finds is
rounded here as upstream does before it is compared.
"""

from __future__ import annotations

from typing import Any

import pytest

from longshore.core.objects.kinds import Doc

from ..reference import balanced_allocation, image_locality, inter_pod_affinity
from ..reference import pod_topology_spread as spread
from ..reference.cluster import Cluster, Scores, name_of
from ..reference.profile import DEFAULT, Profile
from .objects import HOST, PREFERRED, REQUIRED, expression, node, pod

GPU = "nvidia.com/gpu"
MB = 1024 * 1024


def nodes_of(cluster: Cluster, *names: str) -> list[Doc]:
    return [cluster.nodes[name] for name in names] or list(cluster.nodes.values())


# --- NodeResourcesBalancedAllocation: balanced_allocation_test.go ---


def asking(amounts: tuple[int, ...], on: str = "") -> Doc:
    """amounts: cpu in millis, memory, GPUs; as many as are given."""
    texts = zip(("cpu", "memory", GPU), amounts, strict=False)
    asked = {name: f"{many}m" if name == "cpu" else str(many) for name, many in texts if many}
    return pod(f"p-{on}", requests=asked, on=on)


def offering(name: str, cpu: int, memory: int, gpu: int = 0) -> Doc:
    amounts = {"cpu": f"{cpu}m", "memory": str(memory), **({GPU: str(gpu)} if gpu else {})}
    return node(name, amounts=amounts)


@pytest.mark.parametrize(
    ("asked", "sizes", "there", "expected"),
    [
        pytest.param(
            (3000, 5000), [(4000, 10000), (6000, 10000)], [(), ()], (68, 75), id="two sizes"
        ),
        pytest.param(
            (3000, 5000), [(10000, 20000)] * 2, [(3000,), (3000, 5000)], (73, 74), id="some there"
        ),
        pytest.param(
            (3000, 5000), [(10000, 20000), (10000, 50000)], [(3000,), (3000, 5000)], (73, 70),
            id="some there, two sizes",
        ),
        pytest.param((0, 5000), [(3000, 5000)] * 2, [(3000,), ()], (100, 50), id="extremes"),
        pytest.param(
            (3000,), [(6000, 10000)] * 2, [(3000,), (3000, 5000)], (62, 62), id="at capacity"
        ),
        pytest.param(
            (0, 0, 1), [(3500, 40000, 8)] * 2, [(3000, 5000, 3), (3000, 5000)], (75, 76),
            id="an extended resource that is asked for",
        ),
        pytest.param(
            (3000, 5000), [(3500, 40000, 8), (3500, 40000)], [(), ()], (56, 56),
            id="an extended resource that is not",
        ),
    ],
)  # fmt: skip
def test_balanced_allocation(
    asked: tuple[int, ...],
    sizes: list[tuple[int, ...]],
    there: list[tuple[int, ...]],
    expected: tuple[int, ...],
) -> None:
    names = "node1", "node2"
    cluster = Cluster.of(
        [offering(name, *size) for name, size in zip(names, sizes, strict=True)],
        [asking(used, name) for name, used in zip(names, there, strict=True) if used],
    )
    profile = Profile(balanced=("cpu", "memory", GPU))
    scores = balanced_allocation.score(cluster, asking(asked), nodes_of(cluster), profile)
    assert scores
    for name, value in zip(names, expected, strict=True):
        assert scores[name] == pytest.approx(value, abs=1.0)


def test_balance_is_nothing_to_a_pod_that_asks_for_nothing() -> None:
    cluster = Cluster.of([node("node1")])
    assert balanced_allocation.score(cluster, pod("p"), nodes_of(cluster), DEFAULT) is None


# --- PodTopologySpread: scoring_test.go ---

FOO, BAR = {"foo": ""}, {"bar": ""}


def soft(key: str = HOST, labels: dict[str, str] | None = FOO, **more: Any) -> Doc:
    selector = {"labelSelector": {"matchLabels": labels}} if labels else {}
    return {
        "maxSkew": 1,
        "topologyKey": key,
        "whenUnsatisfiable": "ScheduleAnyway",
        **selector,
        **more,
    }


def pods_on(counts: dict[str, int], labels: dict[str, str] = FOO, **more: Any) -> list[Doc]:
    return [
        pod(f"{name}-{i}-{sorted(labels)}", labels, on=name, **more)
        for name, count in counts.items()
        for i in range(count)
    ]


def as_upstream(cluster: Cluster, asking_pod: Doc, among: list[Doc]) -> dict[str, int]:
    raw = spread.crowding(cluster, asking_pod, among, DEFAULT)
    sums = {name: round(value) for name, value in raw.items()}
    most, least = max(sums.values()), min(sums.values())
    return {
        name_of(one): 0
        if name_of(one) not in sums
        else 100 * (most + least - sums[name_of(one)]) // most
        if most
        else 100
        for one in among
    }


def spreading(*constraints: Doc, labels: dict[str, str] = FOO, **more: Any) -> Doc:
    return pod("p", labels, topologySpreadConstraints=list(constraints), **more)


HOSTS = [node(f"node-{letter}") for letter in "abcd"]


@pytest.mark.parametrize(
    ("constraint", "counts", "expected"),
    [
        pytest.param(soft(), (0, 0, 0, 0), (100, 100, 100, 100), id="none"),
        pytest.param(soft(), (1, 1, 1, 1), (100, 100, 100, 100), id="the same number"),
        pytest.param(soft(), (2, 1, 0, 3), (20, 60, 100, 0), id="2/1/0/3"),
        pytest.param(soft(labels=None), (2, 1, 0, 3), (100, 100, 100, 100), id="no selector"),
        pytest.param(soft(maxSkew=2), (2, 1, 0, 3), (33, 66, 100, 16), id="maxSkew 2"),
        pytest.param(soft(maxSkew=3), (4, 3, 2, 1), (44, 66, 77, 100), id="maxSkew 3"),
    ],
)
def test_spread_over_hosts(
    constraint: Doc, counts: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    names = [name_of(one) for one in HOSTS]
    cluster = Cluster.of(HOSTS, pods_on(dict(zip(names, counts, strict=True))))
    found = as_upstream(cluster, spreading(constraint), HOSTS)
    assert found == dict(zip(names, expected, strict=True))


def test_spread_by_default_where_no_node_has_a_zone() -> None:
    counts = {"node-a": 4, "node-b": 3, "node-c": 2, "node-d": 1}
    cluster = Cluster.of(HOSTS, pods_on(counts, owner="set"))
    found = as_upstream(cluster, pod("p", FOO, owner="set"), HOSTS)
    assert found == {"node-a": 44, "node-b": 66, "node-c": 77, "node-d": 100}


ZONED = [
    node(f"node-{letter}", {"zone": zone})
    for letter, zone in (("a", "zone1"), ("b", "zone1"), ("x", "zone2"), ("y", "zone2"))
]


def zoned(pods: list[Doc], constraints: list[Doc], among: str) -> dict[str, int]:
    """The scores of some of four nodes in two zones, by letter."""
    cluster = Cluster.of(ZONED, pods)
    mypod = spreading(*constraints, labels=FOO | BAR)
    found = as_upstream(cluster, mypod, nodes_of(cluster, *(f"node-{x}" for x in among)))
    return {name[-1]: value for name, value in found.items()}


def counts_of(**counts: int) -> dict[str, int]:
    return {f"node-{letter}": count for letter, count in counts.items()}


def test_spread_over_zones() -> None:
    pods = pods_on(counts_of(a=4, b=2, x=1, y=3))
    assert zoned(pods, [soft("zone")], "abx") == {"a": 75, "b": 75, "x": 100}


def test_spread_over_zones_and_hosts() -> None:
    pods = pods_on(counts_of(a=2, b=1, x=2, y=4))
    assert zoned(pods, [soft("zone"), soft()], "ax") == {"a": 100, "x": 63}


def test_spread_of_two_kinds_of_pods() -> None:
    both = pods_on(counts_of(b=1), FOO | BAR)
    pods = both + pods_on(counts_of(a=1, y=1)) + pods_on(counts_of(y=1), BAR)
    constraints = [soft("zone"), soft(labels=BAR)]
    assert zoned(pods, constraints, "abxy") == {"a": 60, "b": 20, "x": 100, "y": 60}
    assert zoned(pods, constraints, "abx") == {"a": 50, "b": 25, "x": 100}


def test_spread_ignores_a_node_without_the_label() -> None:
    bare = node("node-b")
    del bare["metadata"]["labels"][HOST]
    nodes = [node("node-a"), bare, node("node-x"), node("node-y")]
    counts = {"node-a": 4, "node-b": 2, "node-x": 1, "node-y": 3}
    cluster = Cluster.of(nodes, pods_on(counts))
    found = as_upstream(cluster, spreading(soft()), nodes[:3])
    assert found == {"node-a": 16, "node-b": 0, "node-x": 100}


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        pytest.param({}, (0, 33, 100), id="honoured by default"),
        pytest.param({"nodeAffinityPolicy": "Ignore"}, (66, 100, 100), id="ignored"),
    ],
)
def test_spread_and_the_nodes_that_a_pod_selects(policy: Doc, expected: tuple[int, ...]) -> None:
    nodes = [node(f"node-{x}", {"node": x, **({"foo": ""} if x != "c" else {})}) for x in "abc"]
    pods = pods_on({"node-a": 2, "node-b": 1, "node-c": 1})
    cluster = Cluster.of(nodes, pods)
    mypod = spreading(soft("node", **policy), nodeSelector={"foo": ""})
    assert tuple(as_upstream(cluster, mypod, nodes).values()) == expected


# --- InterPodAffinity: scoring_test.go ---

CHINA, INDIA = {"region": "China"}, {"region": "India"}
AZ1, AZ2 = {"az": "az1"}, {"az": "az2"}
S1, S2 = {"security": "S1"}, {"security": "S2"}


def wishing(weight: int, value: str, key: str) -> list[Doc]:
    selector = {"matchExpressions": [expression("security", "In", value)]}
    return [{"weight": weight, "podAffinityTerm": {"labelSelector": selector, "topologyKey": key}}]


WITH_S1 = {"podAffinity": {PREFERRED: wishing(5, "S1", "region")}}
WITH_S2 = {"podAffinity": {PREFERRED: wishing(6, "S2", "region")}}
FROM_S1 = {"podAntiAffinity": {PREFERRED: wishing(5, "S1", "az")}}
FROM_S2 = {"podAntiAffinity": {PREFERRED: wishing(5, "S2", "az")}}
WITH_S1_FROM_S2 = {"podAffinity": {PREFERRED: wishing(8, "S1", "region")}, **FROM_S2}
HARD = {
    "podAffinity": {
        REQUIRED: [
            {
                "topologyKey": "region",
                "labelSelector": {
                    "matchExpressions": [expression("security", "In", "S1", "value2")]
                },
            },
            {
                "topologyKey": "region",
                "labelSelector": {
                    "matchExpressions": [
                        expression("security", "Exists"),
                        expression("wrongkey", "DoesNotExist"),
                    ]
                },
            },
        ]
    }
}
Described = tuple[dict[str, str], Doc]
"""Labels and affinity of a pod."""


@pytest.mark.parametrize(
    ("asker", "labels", "there", "expected"),
    [
        pytest.param(
            (S1, WITH_S1), [CHINA, INDIA, AZ1], [(0, S1, {}), (1, S2, {}), (2, S1, {})],
            (100, 0, 0), id="company in the region",
        ),
        pytest.param(
            ({}, WITH_S1), [CHINA, CHINA | AZ1, INDIA], [(0, S1, {})],
            (100, 100, 0), id="the whole region",
        ),
        pytest.param(
            (S2, {}), [CHINA, INDIA, AZ1], [(0, S1, WITH_S1), (1, S2, WITH_S2)],
            (0, 100, 0), id="wishes of those that are there",
        ),
        pytest.param(
            (S1, {}), [CHINA, INDIA, AZ1], [(0, S1, HARD), (1, S2, HARD)],
            (100, 100, 0), id="needs of those that are there",
        ),
        pytest.param(
            (S1, FROM_S1), [AZ1, CHINA], [(0, S1, {}), (1, S2, {})], (0, 100), id="away",
        ),
        pytest.param(
            (S2, {}), [AZ1, AZ2], [(0, S1, FROM_S2), (1, S2, FROM_S1)],
            (0, 100), id="they want to be away",
        ),
        pytest.param(
            (S1, WITH_S1_FROM_S2), [CHINA | AZ1, INDIA, CHINA, CHINA, INDIA],
            [(i, S1, {}) for i in (0, 0, 1, 2, 2, 3, 4)],
            (100, 0, 100, 100, 0), id="both, among brothers",
        ),
        pytest.param(
            (S1, WITH_S1_FROM_S2), [CHINA, AZ1, INDIA, AZ2],
            [(0, S1, {}), (1, S2, {}), (2, {}, WITH_S1_FROM_S2), (3, {}, FROM_S1)],
            (100, 0, 100, 0), id="both, both ways",
        ),
    ],
)  # fmt: skip
def test_pods_near_pods(
    asker: Described,
    labels: list[dict[str, str]],
    there: list[tuple[int, dict[str, str], Doc]],
    expected: tuple[int, ...],
) -> None:
    nodes = [node(f"node{i}", one) for i, one in enumerate(labels)]
    pods = [
        pod(f"p{i}", kind, on=f"node{at}", affinity=affinity)
        for i, (at, kind, affinity) in enumerate(there)
    ]
    mypod = pod("mine", asker[0], affinity=asker[1])
    found: Scores | None = inter_pod_affinity.score(Cluster.of(nodes, pods), mypod, nodes, DEFAULT)
    assert tuple((found or {}).values()) == pytest.approx(expected)


# --- ImageLocality: image_locality_test.go ---


def holding(name: str, *sizes: int) -> Doc:
    one = node(name)
    one["status"]["images"] = [
        {"names": [f"gcr.io/{size}:latest", f"gcr.io/{size}:v1"], "sizeBytes": size * MB}
        for size in sizes
    ]
    return one


@pytest.mark.parametrize(
    ("wanted", "held", "expected"),
    [
        pytest.param((40, 250), [(40, 300, 2000), (250, 10)], (0, 5), id="the larger image"),
        pytest.param((40, 300), [(40, 300, 2000), (250, 10)], (7, 0), id="both on one node"),
        pytest.param((10, 4000), [(4000, 30), (250, 10)], (100, 0), id="more than the limit"),
        pytest.param((10, 4000), [(4000, 30), (250, 10), ()], (66, 0, 0), id="on one of three"),
        pytest.param(
            (300, 600, 900), [(600, 40, 900), (300, 600, 900), ()], (32, 36, 0), id="large images"
        ),
        pytest.param((30, 40), [(20, 30, 40), (4000, 30)], (1, 0), id="small images"),
    ],
)
def test_image_locality(
    wanted: tuple[int, ...], held: list[tuple[int, ...]], expected: tuple[int, ...]
) -> None:
    nodes = [holding(f"machine{i}", *sizes) for i, sizes in enumerate(held)]
    containers = [{"name": f"c{size}", "image": f"gcr.io/{size}"} for size in wanted]
    mypod = pod("p", containers=containers)
    found = image_locality.score(Cluster.of(nodes), mypod, nodes, DEFAULT)
    assert tuple(int(value) for value in found.values()) == expected


def test_images_of_init_containers_and_volumes_count_alike() -> None:
    nodes = [holding("machine0", 30, 300), holding("machine1", 40)]
    first, other = ({"name": f"c{size}", "image": f"gcr.io/{size}"} for size in (30, 300))
    volume = {"name": "v", "image": {"reference": "gcr.io/300"}}
    pods = (
        pod("containers", containers=[first, other]),
        pod("init", containers=[first], initContainers=[other]),
        pod("volume", containers=[first], volumes=[volume]),
    )
    found = [image_locality.score(Cluster.of(nodes), one, nodes, DEFAULT) for one in pods]
    assert found[0] == found[1] == found[2]
    assert found[0]["machine0"] == pytest.approx(100 * (330 / 2 - 23) / (2000 - 23))
