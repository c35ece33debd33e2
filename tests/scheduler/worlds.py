"""Hypothesis strategies: clusters of one to forty nodes, and pods with every kind of constraint.

Nodes and pods are drawn as a few kinds and then told apart by name, zone and place only: that is
what clusters look like, it makes for pods that are alike, and it keeps examples quick to draw.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from longshore.core.objects.kinds import Doc

from .reference.profile import WEIGHTS, Profile

HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
NAMESPACES = {
    "shop": {"kubernetes.io/metadata.name": "shop", "team": "red"},
    "mall": {"kubernetes.io/metadata.name": "mall", "team": "blue"},
}
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"

Docs = st.SearchStrategy[Doc]


@dataclass
class World:
    """nodes, pods that are on them (spec.nodeName), and pods that wait: runs of alike pods. seed: for
    the planner."""

    nodes: list[Doc]
    bound: list[Doc]
    waiting: list[list[Doc]]
    seed: int


def fields(**options: Docs | st.SearchStrategy[Any]) -> Docs:
    """A document in which every field may be missing."""
    return st.fixed_dictionaries({}, optional=options)


def one_in(count: int) -> st.SearchStrategy[bool]:
    return st.integers(1, count).map(lambda drawn: drawn == count)


# --- nodes ---

TAINTS = st.fixed_dictionaries(
    {
        "key": st.sampled_from(["gpu", "old"]),
        "effect": st.sampled_from(["NoSchedule", "PreferNoSchedule", "NoExecute"]),
    },
    optional={"value": st.sampled_from(["a", "b", "2", "11"])},
)
IMAGES = st.sampled_from(
    [
        {"names": ["web:1"], "sizeBytes": 300 * 1024 * 1024},
        {"names": ["db:latest", "db@sha256:1"], "sizeBytes": 1500 * 1024 * 1024},
    ]
)
ALLOCATABLE = st.fixed_dictionaries(
    {
        "cpu": st.sampled_from(["1", "2", "4", "7500m"]),
        "memory": st.sampled_from(["1Gi", "2Gi", "8Gi", "7777777k"]),
        "pods": st.sampled_from(["110", "110", "3"]),
        "ephemeral-storage": st.just("10Gi"),
    },
    optional={"example.com/gpu": st.sampled_from(["4", "1", "0"])},
)
NODE_KINDS = st.fixed_dictionaries(
    {
        "labels": fields(
            disk=st.sampled_from(["ssd", "hdd"]), cores=st.sampled_from(["4", "16", "many"])
        ),
        "taints": st.one_of(
            st.just([]),
            st.just([]),
            st.lists(TAINTS, max_size=2, unique_by=lambda t: (t["key"], t["effect"])),
        ),
        "unschedulable": one_in(8),
        "allocatable": ALLOCATABLE,
        "images": st.lists(IMAGES, max_size=2, unique_by=lambda i: str(i["names"])),
        "nameless": one_in(10),
    }
)


# Nodes on which nothing but labels decides.
CALM_NODES = st.fixed_dictionaries(
    {
        "labels": fields(disk=st.sampled_from(["ssd", "hdd"])),
        "taints": st.just([]),
        "unschedulable": st.just(False),
        "allocatable": st.sampled_from(
            [
                {"cpu": "64", "memory": "256Gi", "pods": "500"},
                {"cpu": "32", "memory": "64Gi", "pods": "500"},
            ]
        ),
        "images": st.just([]),
        "nameless": one_in(20),
    }
)


SIMPLE_NODE: Doc = {
    "labels": {},
    "taints": [],
    "unschedulable": False,
    "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"},
    "images": [],
    "nameless": False,
}
# Nodes that a few pods fill.
TIGHT_NODES = st.builds(
    lambda kind, pods: {**kind, "allocatable": {"cpu": "1", "memory": "2Gi", "pods": pods}},
    CALM_NODES,
    st.sampled_from(["1", "2", "3"]),
)


def make_node(name: str, kind: Doc, zone: str | None) -> Doc:
    labels = dict(kind["labels"])
    if not kind["nameless"]:
        labels[HOST] = name
    if zone:
        labels[ZONE] = zone
    spec = {"taints": kind["taints"]} if kind["taints"] else {}
    if kind["unschedulable"]:
        spec["unschedulable"] = True
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, "resourceVersion": "1"},
        "spec": spec,
        "status": {"allocatable": kind["allocatable"], "images": kind["images"]},
    }


# --- what pods ask of labels ---


def expression(keys: dict[str, list[str]], operators: list[str]) -> Docs:
    def of(key: str) -> Docs:
        values = st.lists(st.sampled_from(keys[key]), min_size=1, max_size=2, unique=True)
        listed = st.fixed_dictionaries(
            {
                "key": st.just(key),
                "operator": st.sampled_from([o for o in operators if o in ("In", "NotIn")]),
                "values": values,
            }
        )
        bare = st.fixed_dictionaries(
            {
                "key": st.just(key),
                "operator": st.sampled_from(["Exists", "DoesNotExist"]),
            }
        )
        return st.one_of(listed, bare)

    return st.sampled_from(sorted(keys)).flatmap(of)


NODE_LABELS = {"disk": ["ssd", "hdd"], "cores": ["4", "16"], ZONE: ["a", "b"]}
POD_LABELS = {"app": ["web", "db"], "version": ["1", "2"]}
CORES = st.fixed_dictionaries(
    {
        "key": st.just("cores"),
        "operator": st.sampled_from(["Gt", "Lt"]),
        "values": st.just(["8"]),
    }
)
NAMED = st.fixed_dictionaries(
    {
        "key": st.just("metadata.name"),
        "operator": st.sampled_from(["In", "NotIn"]),
        "values": st.sampled_from([["n0"], ["n1"], ["elsewhere"]]),
    }
)
NODE_TERMS = fields(
    matchExpressions=st.lists(
        st.one_of(expression(NODE_LABELS, ["In", "NotIn"]), CORES), min_size=1, max_size=2
    ),
    matchFields=st.lists(NAMED, min_size=1, max_size=1),
)
NODE_AFFINITY = fields(
    **{
        REQUIRED: st.fixed_dictionaries(
            {"nodeSelectorTerms": st.lists(NODE_TERMS, min_size=1, max_size=2)}
        ),
        PREFERRED: st.lists(
            st.fixed_dictionaries({"weight": st.integers(1, 100), "preference": NODE_TERMS}),
            min_size=1,
            max_size=2,
        ),
    }
)
SELECTORS = st.one_of(
    fields(
        matchLabels=st.sampled_from([{"app": "web"}, {"app": "db"}]),
        matchExpressions=st.lists(expression(POD_LABELS, ["In", "NotIn"]), min_size=1, max_size=2),
    ),
    st.just({"matchLabels": {"app": "web"}}),
)
KEYS = st.sampled_from([HOST, ZONE, "disk"])


# --- pods ---

POD_TERMS = st.fixed_dictionaries(
    {"topologyKey": KEYS},
    optional={
        "labelSelector": SELECTORS,
        "namespaces": st.sampled_from([["shop"], ["mall"], ["shop", "mall"]]),
        "namespaceSelector": st.sampled_from([{}, {"matchLabels": {"team": "blue"}}]),
        "matchLabelKeys": st.just(["version"]),
    },
)
POD_AFFINITY = fields(
    **{
        REQUIRED: st.lists(POD_TERMS, min_size=1, max_size=2),
        PREFERRED: st.lists(
            st.fixed_dictionaries({"weight": st.integers(1, 100), "podAffinityTerm": POD_TERMS}),
            min_size=1,
            max_size=2,
        ),
    }
)
SPREAD = st.fixed_dictionaries(
    {
        "maxSkew": st.integers(1, 3),
        "topologyKey": KEYS,
        "whenUnsatisfiable": st.sampled_from(["DoNotSchedule", "ScheduleAnyway"]),
    },
    optional={
        "labelSelector": SELECTORS,
        "matchLabelKeys": st.just(["version"]),
        "nodeAffinityPolicy": st.sampled_from(["Honor", "Ignore"]),
        "nodeTaintsPolicy": st.sampled_from(["Honor", "Ignore"]),
    },
)


def _with_min_domains(constraint: Doc, count: int) -> Doc:
    """Only what must not be left unsatisfied may ask for a number of domains."""
    hard = constraint["whenUnsatisfiable"] == "DoNotSchedule"
    return {**constraint, "minDomains": count} if hard and count else constraint


SPREADS = st.lists(
    st.builds(_with_min_domains, SPREAD, st.sampled_from([0, 0, 1, 2, 4])),
    min_size=1,
    max_size=2,
    unique_by=lambda one: (one["topologyKey"], one["whenUnsatisfiable"]),
)
AMOUNTS = fields(
    cpu=st.sampled_from(["100m", "500m", "1", "0"]),
    memory=st.sampled_from(["100Mi", "512Mi", "1G"]),
)
RESOURCES: Docs = st.one_of(
    st.just({}),
    AMOUNTS.map(lambda amounts: {"requests": amounts}),
    AMOUNTS.map(lambda amounts: {"requests": amounts}),
    st.sampled_from(
        [
            {"requests": {"example.com/gpu": "1"}, "limits": {"example.com/gpu": "1"}},
            {"requests": {"cpu": "250m", "ephemeral-storage": "4Gi"}},
        ]
    ),
)
CONTAINERS = st.fixed_dictionaries(
    {"image": st.sampled_from(["web:1", "db", "none"]), "resources": RESOURCES}
)
PORTS = st.fixed_dictionaries(
    {
        "hostPort": st.sampled_from([80, 81]),
        "protocol": st.sampled_from(["TCP", "UDP"]),
    },
    optional={"hostIP": st.sampled_from(["127.0.0.1", "10.0.0.1", "0.0.0.0"])},
).map(lambda port: {**port, "containerPort": port["hostPort"]})
INITS = st.lists(
    st.builds(
        lambda container, side: {**container, "restartPolicy": "Always"} if side else container,
        CONTAINERS,
        st.booleans(),
    ),
    min_size=1,
    max_size=2,
)
TOLERATIONS = st.one_of(
    st.just({"operator": "Exists"}),
    st.fixed_dictionaries(
        {"key": st.sampled_from(["gpu", "old"]), "operator": st.just("Exists")},
        optional={"effect": st.sampled_from(["NoSchedule", "PreferNoSchedule"])},
    ),
    st.fixed_dictionaries(
        {"key": st.just("gpu"), "operator": st.just("Equal"), "value": st.sampled_from(["a", "b"])}
    ),
    st.fixed_dictionaries(
        {
            "key": st.just("gpu"),
            "operator": st.sampled_from(["Gt", "Lt"]),
            "value": st.sampled_from(["2", "-3"]),
        }
    ),
)
FIRST = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"topologySpreadConstraints": SPREADS}),
    st.fixed_dictionaries({"affinity": fields(podAffinity=POD_AFFINITY)}),
    st.fixed_dictionaries({"affinity": fields(podAntiAffinity=POD_AFFINITY)}),
    st.fixed_dictionaries({"affinity": fields(nodeAffinity=NODE_AFFINITY)}),
    st.fixed_dictionaries(
        {
            "affinity": fields(
                nodeAffinity=NODE_AFFINITY,
                podAffinity=POD_AFFINITY,
                podAntiAffinity=POD_AFFINITY,
            ),
            "topologySpreadConstraints": SPREADS,
        }
    ),
)
MORE = fields(
    nodeSelector=st.just({"disk": "ssd"}),
    tolerations=st.lists(TOLERATIONS, min_size=1, max_size=2),
    initContainers=INITS,
    overhead=st.just({"cpu": "50m", "memory": "64Mi"}),
    resources=st.sampled_from([{"requests": {"cpu": "1"}}, {"requests": {"memory": "700Mi"}}]),
)


def pod_kinds(containers: Docs, spec: Docs, ports: st.SearchStrategy[list[Doc]]) -> Docs:
    return st.fixed_dictionaries(
        {
            "namespace": st.sampled_from(["shop", "shop", "shop", "mall"]),
            "labels": fields(
                app=st.sampled_from(["web", "web", "db"]), version=st.sampled_from(["1", "2"])
            ),
            "owner": st.sampled_from(["", "", "set-1", "set-2"]),
            "containers": st.lists(containers, min_size=1, max_size=2),
            "ports": ports,
            "spec": spec,
        }
    )


ALL_KINDS = pod_kinds(
    CONTAINERS,
    st.builds(lambda first, more: {**more, **first}, FIRST, MORE),
    st.one_of(st.just([]), st.just([]), st.lists(PORTS, max_size=2)),
)
SMALL = st.sampled_from(
    [
        {"image": "none", "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}}},
        {"image": "none", "resources": {}},
    ]
)
# Pods that look at nothing but other pods.
KIN_KINDS = pod_kinds(
    SMALL,
    st.one_of(
        st.just({}),
        st.fixed_dictionaries({"topologySpreadConstraints": SPREADS}),
        st.fixed_dictionaries({"affinity": fields(podAffinity=POD_AFFINITY)}),
        st.fixed_dictionaries({"affinity": fields(podAntiAffinity=POD_AFFINITY)}),
        st.fixed_dictionaries(
            {
                "affinity": fields(podAffinity=POD_AFFINITY, podAntiAffinity=POD_AFFINITY),
                "topologySpreadConstraints": SPREADS,
            }
        ),
    ),
    st.just([]),
)


def make_pod(name: str, kind: Doc, node: str = "", *, leaving: bool = False) -> Doc:
    metadata: Doc = {
        "name": name,
        "namespace": kind["namespace"],
        "uid": f"uid-{name}",
        "labels": kind["labels"],
        "resourceVersion": "1",
    }
    if kind["owner"]:
        metadata["ownerReferences"] = [{"uid": kind["owner"], "controller": True}]
    if leaving:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    containers = [{**one, "name": f"c{i}"} for i, one in enumerate(kind["containers"])]
    if kind["ports"]:
        containers[0]["ports"] = kind["ports"]
    spec: Doc = {"containers": containers, **kind["spec"]}
    if "initContainers" in spec:
        spec["initContainers"] = [
            {**one, "name": f"i{i}"} for i, one in enumerate(spec["initContainers"])
        ]
    if node:
        spec["nodeName"] = node
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": spec,
        "status": {"phase": "Pending"},
    }


@dataclass(frozen=True)
class Sizes:
    """At least and at most: nodes, pods in a run of waiting pods that are alike, pods that are
    there; at most so many runs."""

    nodes: tuple[int, int] = (1, 12)
    run: tuple[int, int] = (1, 3)
    bound: tuple[int, int] = (0, 10)
    runs: int = 3


@st.composite
def worlds(draw: st.DrawFn, sizes: Sizes, node_kinds: Docs, pods: Docs) -> World:
    kinds = draw(st.lists(node_kinds, min_size=1, max_size=4))
    zones = st.sampled_from(["a", "b", "c", None])
    place = st.tuples(st.integers(0, len(kinds) - 1), zones)
    places = draw(st.lists(place, min_size=sizes.nodes[0], max_size=sizes.nodes[1]))
    alike = draw(st.lists(pods, min_size=1, max_size=3))
    which = st.integers(0, len(alike) - 1)
    there = st.tuples(which, st.integers(0, len(places) - 1), one_in(8))
    bound = draw(st.lists(there, min_size=sizes.bound[0], max_size=sizes.bound[1]))
    run = st.tuples(which, st.integers(*sizes.run))
    waiting = draw(st.lists(run, min_size=1, max_size=sizes.runs))
    return World(
        [make_node(f"n{i}", kinds[kind], zone) for i, (kind, zone) in enumerate(places)],
        [
            make_pod(f"old-{i}", alike[kind], f"n{node}", leaving=leaving)
            for i, (kind, node, leaving) in enumerate(bound)
        ],
        [
            [make_pod(f"new-{i}-{j}", alike[kind]) for j in range(count)]
            for i, (kind, count) in enumerate(waiting)
        ],
        draw(st.integers(0, 2**31)),
    )


any_world = worlds(Sizes(), NODE_KINDS, ALL_KINDS)
kin_world = worlds(Sizes(bound=(0, 20), run=(1, 5)), CALM_NODES, KIN_KINDS)
# Runs of more than sixteen are placed at once.
MANY = Sizes(nodes=(8, 40), run=(17, 60), runs=2)
tight_world = worlds(Sizes(nodes=(1, 4), bound=(6, 16), runs=2, run=(1, 1)), TIGHT_NODES, KIN_KINDS)
great_any_world = worlds(MANY, NODE_KINDS, ALL_KINDS)
great_kin_world = worlds(MANY, CALM_NODES, KIN_KINDS)
great_tight_world = worlds(MANY, TIGHT_NODES, KIN_KINDS)

# Settings of a scheduler, as the reference has them.
RESOURCES_WEIGHED = st.dictionaries(
    st.sampled_from(["cpu", "memory", "ephemeral-storage", "example.com/gpu"]),
    st.sampled_from([1, 2, 5]),
    min_size=1,
)
SHAPES = st.sampled_from(
    [
        ((0.0, 0.0), (100.0, 10.0)),
        ((0.0, 10.0), (100.0, 0.0)),
        ((20.0, 0.0), (50.0, 10.0), (80.0, 5.0)),
    ]
)
DEFAULT_CONSTRAINTS = st.lists(
    st.fixed_dictionaries(
        {
            "maxSkew": st.integers(1, 3),
            "topologyKey": KEYS,
            "whenUnsatisfiable": st.sampled_from(["DoNotSchedule", "ScheduleAnyway"]),
        }
    ),
    max_size=2,
    unique_by=lambda one: (one["topologyKey"], one["whenUnsatisfiable"]),
).map(tuple)
PROFILES = st.builds(
    Profile,
    weights=st.dictionaries(st.sampled_from(sorted(WEIGHTS)), st.sampled_from([0, 1, 7])).map(
        lambda weights: {**WEIGHTS, **weights}
    ),
    strategy=st.sampled_from(["LeastAllocated", "MostAllocated", "RequestedToCapacityRatio"]),
    resources=RESOURCES_WEIGHED,
    shape=SHAPES,
    balanced=st.sampled_from(
        [("cpu", "memory"), ("cpu",), ("cpu", "memory", "example.com/gpu", "ephemeral-storage")]
    ),
    constraints=st.one_of(st.none(), DEFAULT_CONSTRAINTS),
    added_affinity=st.one_of(st.just({}), NODE_AFFINITY),
    hard_pod_affinity_weight=st.sampled_from([1, 0, 50]),
    ignore_preferred_terms_of_existing_pods=st.booleans(),
    ignored_resources=st.sampled_from([frozenset[str](), frozenset({"example.com/gpu"})]),
    ignored_resource_groups=st.sampled_from([frozenset[str](), frozenset({"example.com"})]),
)
