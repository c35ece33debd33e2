"""Many pods placed at once lie nearly as well as if they were placed one after the other.

Measured over a thousand nodes of three sizes in three zones, some of them busy: how far cpu and
memory in use deviate from node to node, how far they lie apart on a node, and how unevenly a
workload lies over zones. One after the other is the planner's own exact path, a few at a time,
which test_against_reference.py holds to the plain reference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import fmean, pstdev
from typing import Any, NamedTuple

import pytest

from longshore.core.objects.kinds import Doc

from .judged import Planner
from .reference import amounts
from .reference.cluster import Cluster, name_of
from .worlds import HOST, PREFERRED, REQUIRED, ZONE

NODES = 1_000
SIZES = (("16", "64Gi"), ("32", "64Gi"), ("64", "256Gi"))
# What the exact path takes at once.
FEW = 16


class Quality(NamedTuple):
    """Of shares in use, so 0 to 1, the lower the better; skew is in pods."""

    cpu: float
    memory: float
    apart: float
    skew: float


def node(number: int) -> Doc:
    cpu, memory = SIZES[number % len(SIZES)]
    labels = {HOST: f"n{number}", ZONE: f"z{number % 10 % 3}", "pool": f"p{number % 4}"}
    return {
        "metadata": {"name": f"n{number}", "labels": labels, "resourceVersion": "1"},
        "spec": {},
        "status": {"allocatable": {"cpu": cpu, "memory": memory, "pods": "110"}},
    }


def pod(name: str, cpu: str, memory: str, owner: str = "", **spec: Any) -> Doc:
    metadata: Doc = {
        "name": name,
        "namespace": "shop",
        "uid": name,
        "labels": {"app": owner},
        "resourceVersion": "1",
    }
    if owner:
        metadata["ownerReferences"] = [{"uid": owner, "controller": True}]
    container = {
        "name": "c",
        "image": "i",
        "resources": {"requests": {"cpu": cpu, "memory": memory}},
    }
    return {
        "metadata": metadata,
        "spec": {"containers": [container], **spec},
        "status": {"phase": "Pending"},
    }


def busy_cluster() -> Cluster:
    """Every third node has a few pods already."""
    there = [
        pod(f"old-{number}-{i}", "500m", "2Gi", nodeName=f"n{number}")
        for number in range(0, NODES, 3)
        for i in range(number % 7)
    ]
    return Cluster.of([node(number) for number in range(NODES)], there)


def place(cluster: Cluster, pods: Sequence[Doc], at_once: int) -> Quality:
    planner = Planner(cluster)
    chosen: list[str] = []
    for start in range(0, len(pods), at_once):
        part = pods[start : start + at_once]
        found = planner.place(part)
        assert len(found) == len(part)
        for one, where in zip(part, found, strict=True):
            planner.bind(one, where)
        chosen += found
    return quality(cluster, pods[0], chosen)


def quality(cluster: Cluster, like: Doc, chosen: list[str]) -> Quality:
    taken, asked = Counter(chosen), amounts.requests(like)
    cpu, memory = [], []
    for one in cluster.nodes.values():
        used: Counter[str] = Counter()
        offered = amounts.offered(one)
        for other in cluster.on(one):
            used.update(amounts.requests(other))
        more = taken[name_of(one)]
        cpu.append((used["cpu"] + more * asked["cpu"]) / offered["cpu"])
        memory.append((used["memory"] + more * asked["memory"]) / offered["memory"])
    apart = fmean(abs(one - other) for one, other in zip(cpu, memory, strict=True))
    return Quality(pstdev(cpu), pstdev(memory), apart, zone_skew(cluster, taken))


def zone_skew(cluster: Cluster, taken: Counter[str]) -> float:
    """How far the zones' counts of the new pods deviate from their mean, on average."""
    zones: Counter[str] = Counter()
    for name, one in cluster.nodes.items():
        zones[one["metadata"]["labels"][ZONE]] += taken[name]
    mean = fmean(zones.values())
    return fmean(abs(count - mean) for count in zones.values())


def spread(key: str, when: str) -> Doc:
    return {
        "maxSkew": 1,
        "topologyKey": key,
        "whenUnsatisfiable": when,
        "labelSelector": {"matchLabels": {"app": "set"}},
    }


POOLS = {"matchExpressions": [{"key": "pool", "operator": "In", "values": ["p0", "p1"]}]}
NEAR = {"labelSelector": {"matchLabels": {"app": "set"}}, "topologyKey": HOST}
CASES: dict[str, tuple[str, Doc]] = {
    "plain": ("", {}),
    "of one workload": ("set", {}),
    "half of the pools required": (
        "set",
        {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [POOLS]}}}},
    ),
    "half of the pools preferred": (
        "set",
        {"affinity": {"nodeAffinity": {PREFERRED: [{"weight": 10, "preference": POOLS}]}}},
    ),
    "spread over zones": ("set", {"topologySpreadConstraints": [spread(ZONE, "DoNotSchedule")]}),
    "spread over hosts and zones, rather": (
        "set",
        {
            "topologySpreadConstraints": [
                spread(ZONE, "ScheduleAnyway"),
                spread(HOST, "ScheduleAnyway"),
            ]
        },
    ),
    "rather alone": (
        "set",
        {"affinity": {"podAntiAffinity": {PREFERRED: [{"weight": 10, "podAffinityTerm": NEAR}]}}},
    ),
    "alone": ("set", {"affinity": {"podAntiAffinity": {REQUIRED: [NEAR]}}}),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("cpu", "memory"), [("500m", "1Gi"), ("250m", "3Gi")])
def test_many_at_once_lie_as_well(case: str, cpu: str, memory: str) -> None:
    owner, spec = CASES[case]
    count = NODES * 9 // 10 if "alone" in case else NODES * 3
    pods = [pod(f"new-{i}", cpu, memory, owner, **spec) for i in range(count)]
    cluster = busy_cluster()
    one_by_one = place(cluster, pods, FEW)
    at_once = place(cluster, pods, count)
    for name, found, expected in zip(Quality._fields, at_once, one_by_one, strict=True):
        slack = 1.0 if name == "skew" else 0.0
        assert found <= 1.05 * expected + slack, (name, at_once, one_by_one)
