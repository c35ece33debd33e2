"""The pods and nodes of upstream's scheduler benchmark, with its labels, terms and amounts
(kubernetes/kubernetes, test/integration/scheduler_perf/templates). Pure; each call makes a new one."""

from __future__ import annotations

from longshore.core.objects.kinds import Doc

ZONE, HOSTNAME = "topology.kubernetes.io/zone", "kubernetes.io/hostname"
SETUP, MEASURED = "sched-0", "sched-1"
"""The namespaces of pods that are there before, and of those that are measured."""
HIGH = "scheduler-perf-high"
"""A PriorityClass of value 10, as upstream's important pods have it."""
NAMED_NODE = "scheduler-perf-node"

_SMALL = {"cpu": "100m", "memory": "500Mi"}
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def node(name: str, zone: str = "", pods: str = "110") -> Doc:
    """As a kubelet registers itself, so with its hostname as a label: without one, constraints by
    hostname would hold for nothing."""
    labels = {HOSTNAME: name} | ({ZONE: zone} if zone else {})
    amounts = {"cpu": "4", "memory": "32Gi", "pods": pods}
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {},
        "status": {
            "capacity": amounts,
            "allocatable": amounts,
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def pod(requests: Doc | None = _SMALL, color: str = "", **spec: object) -> Doc:
    """One whose requests are its limits; spec are further fields of it."""
    container: Doc = {"name": "pause", "image": "registry.k8s.io/pause:3.10"}
    if requests:
        container["ports"] = [{"containerPort": 80}]
        container["resources"] = {"requests": requests, "limits": requests}
    metadata = {"labels": {"color": color}} if color else {}
    return {"metadata": metadata, "spec": {"containers": [container], **spec}}


def low_priority() -> Doc:
    """Four of these leave 0.4 of a node's 4 CPUs."""
    return pod({"cpu": "900m", "memory": "500Mi"}, terminationGracePeriodSeconds=0)


def high_priority() -> Doc:
    """Three of four low ones have to go for it."""
    return pod({"cpu": "3", "memory": "500Mi"}, priorityClassName=HIGH)


def high_priority_large_cpu() -> Doc:
    """No node is large enough, whoever goes."""
    return pod({"cpu": "9", "memory": "500Mi"}, priorityClassName=HIGH)


def of_daemon() -> Doc:
    field = {"key": "metadata.name", "operator": "In", "values": [NAMED_NODE]}
    return pod(None, affinity=_node_affinity({"matchFields": [field]}))


def with_node_affinity() -> Doc:
    zones = {"key": ZONE, "operator": "In", "values": ["zone1", "zone2"]}
    return pod(affinity=_node_affinity({"matchExpressions": [zones]}))


def with_pod_affinity() -> Doc:
    return pod(color="blue", affinity={"podAffinity": {_REQUIRED: [_term("blue", ZONE)]}})


def with_pod_anti_affinity() -> Doc:
    return pod(color="green", affinity={"podAntiAffinity": {_REQUIRED: [_term("green", HOSTNAME)]}})


def with_preferred_pod_affinity() -> Doc:
    return pod(color="red", affinity={"podAffinity": {_PREFERRED: [_wish("red")]}})


def with_preferred_pod_anti_affinity() -> Doc:
    return pod(color="yellow", affinity={"podAntiAffinity": {_PREFERRED: [_wish("yellow")]}})


def spreading(when_unsatisfiable: str) -> Doc:
    constraint = {
        "maxSkew": 5, "topologyKey": ZONE, "whenUnsatisfiable": when_unsatisfiable,
        "labelSelector": {"matchLabels": {"color": "blue"}},
    }  # fmt: skip
    return pod(color="blue", topologySpreadConstraints=[constraint])


def _node_affinity(term: Doc) -> Doc:
    return {"nodeAffinity": {_REQUIRED: {"nodeSelectorTerms": [term]}}}


def _term(color: str, topology: str) -> Doc:
    return {
        "labelSelector": {"matchLabels": {"color": color}},
        "topologyKey": topology,
        "namespaces": [MEASURED, SETUP],
    }


def _wish(color: str) -> Doc:
    return {"weight": 1, "podAffinityTerm": _term(color, HOSTNAME)}
