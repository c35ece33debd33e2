"""What a simulation comes to: where pods land, what does not fit, how full nodes and zones are. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from longshore.cluster.simulate.shape import POOL, ZONE
from longshore.core.objects.kinds import Doc
from longshore.core.objects.pod_requests import amounts_of, requests_of

NO_ZONE = "(no zone)"


@dataclass(slots=True)
class NodeLoad:
    """A node with what its pods ask for; amounts as pod_requests counts them."""

    name: str
    zone: str
    pool: str
    offered: Mapping[str, int]
    used: Counter[str] = field(default_factory=Counter)

    def share(self, resource: str) -> float:
        """How full it is, 0 to 1 (1 where there is nothing to offer)."""
        offered = self.offered.get(resource, 0)
        return self.used[resource] / offered if offered else 1.0

    @property
    def fullness(self) -> float:
        """Of that of cpu, memory and pods which is the scarcest."""
        return max(self.share(resource) for resource in ("cpu", "memory", "pods"))


@dataclass(frozen=True, slots=True)
class Landed:
    """Of a workload: how many pods were wanted, how many each zone has, and how many there are no
    places for, by the reason."""

    title: str
    namespace: str
    wanted: int
    zones: Mapping[str, int]
    refused: Mapping[str, int]

    @property
    def placed(self) -> int:
        return sum(self.zones.values())


@dataclass(frozen=True, slots=True)
class Zone:
    """nodes and pods are counts; cpu and memory are shares of what its nodes offer together, 0 to 1;
    fullest is that of its fullest node."""

    name: str
    nodes: int
    pods: int
    cpu: float
    memory: float
    fullest: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """evicted are the names of pods that would have to go for others."""

    nodes: Sequence[NodeLoad]
    workloads: Sequence[Landed]
    evicted: Sequence[str] = ()

    def zones(self) -> list[Zone]:
        """By name."""
        members: dict[str, list[NodeLoad]] = defaultdict(list)
        for node in self.nodes:
            members[node.zone].append(node)
        return [_zone(name, members[name]) for name in sorted(members)]

    @property
    def refused(self) -> int:
        return sum(sum(one.refused.values()) for one in self.workloads)

    def as_dict(self) -> dict[str, Any]:
        return {
            "nodes": len(self.nodes),
            "placed": sum(one.placed for one in self.workloads),
            "refused": self.refused,
            "evicted": list(self.evicted),
            "zones": [_zone_dict(one) for one in self.zones()],
            "workloads": [_landed_dict(one) for one in self.workloads],
        }


def loads(nodes: Iterable[Doc]) -> dict[str, NodeLoad]:
    """Empty nodes, by name."""
    found = {}
    for node in nodes:
        labels = node["metadata"].get("labels") or {}
        status = node.get("status") or {}
        offered = amounts_of(status.get("allocatable") or status.get("capacity") or {})
        name = node["metadata"]["name"]
        found[name] = NodeLoad(name, labels.get(ZONE, NO_ZONE), labels.get(POOL, ""), offered)
    return found


def put(node: NodeLoad, pod: Doc) -> None:
    """A pod is on a node."""
    node.used.update(requests_of(pod["spec"]))
    node.used["pods"] += 1


def _zone(name: str, nodes: Sequence[NodeLoad]) -> Zone:
    def share(resource: str) -> float:
        offered = sum(node.offered.get(resource, 0) for node in nodes)
        return sum(node.used[resource] for node in nodes) / offered if offered else 1.0

    pods, fullest = sum(node.used["pods"] for node in nodes), max(node.fullness for node in nodes)
    return Zone(name, len(nodes), pods, share("cpu"), share("memory"), fullest)


def _zone_dict(zone: Zone) -> dict[str, Any]:
    return {
        "name": zone.name,
        "nodes": zone.nodes,
        "pods": zone.pods,
        "cpu": round(zone.cpu, 4),
        "memory": round(zone.memory, 4),
        "fullest": round(zone.fullest, 4),
    }


def _landed_dict(one: Landed) -> dict[str, Any]:
    return {
        "workload": one.title,
        "namespace": one.namespace,
        "wanted": one.wanted,
        "placed": one.placed,
        "zones": dict(sorted(one.zones.items())),
        "refused": [{"count": count, "reason": why} for why, count in one.refused.items()],
    }
