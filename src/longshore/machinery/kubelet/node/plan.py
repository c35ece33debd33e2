"""Build the Node and Lease documents. Pure.

Labels and conditions follow pkg/kubelet/kubelet_node_status.go and pkg/kubelet/nodestatus.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from longshore.base.clock import rfc3339, rfc3339_micro
from longshore.base.version import GIT_VERSION, RUNTIME_VERSION
from longshore.core.objects import kinds
from longshore.core.objects.canonical import quantity
from longshore.core.objects.kinds import Doc
from longshore.core.objects.names import is_extended_resource
from longshore.machinery.kubelet.config import (
    LEASE_DURATION_S,
    KubeletConfig,
)
from longshore.machinery.kubelet.resources.allocatable import allocatable
from longshore.machinery.runtime.protocol import Handler, Image

LEASE_NAMESPACE = "kube-node-lease"
# Upstream reports the 50 largest images only (nodeStatusMaxImages).
IMAGES_MAX = 50


@dataclass(frozen=True, slots=True)
class DeviceCounts:
    """How many devices there are, and how many work: quantities by resource."""

    capacity: Mapping[str, str] = field(default_factory=dict)
    allocatable: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """What the machine says of itself; architecture as Go names it (amd64, arm64)."""

    architecture: str
    kernel_version: str
    os_image: str
    machine_id: str
    system_uuid: str
    boot_id: str
    capacity: Mapping[str, str] = field(default_factory=dict)
    pressure: frozenset[str] = frozenset()
    """Which of MemoryPressure, DiskPressure and PIDPressure there is."""
    devices: DeviceCounts = field(default_factory=DeviceCounts)
    handlers: Sequence[Handler] = ()
    unready: str = ""
    """Why it takes no pods, if it does not."""
    runtime_version: str = RUNTIME_VERSION


def node_doc(config: KubeletConfig, facts: MachineFacts) -> Doc:
    """The Node as it is registered."""
    labels = {
        "kubernetes.io/hostname": config.node_name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": facts.architecture,
        "beta.kubernetes.io/os": "linux",
        "beta.kubernetes.io/arch": facts.architecture,
        **config.labels,
    }
    spec: Doc = {}
    if config.pod_cidr:
        spec = {"podCIDR": config.pod_cidr, "podCIDRs": [config.pod_cidr]}
    metadata: Doc = {"name": config.node_name, "labels": labels}
    if config.annotations:
        metadata["annotations"] = dict(config.annotations)
    return {
        "apiVersion": kinds.NODE.api_version,
        "kind": kinds.NODE.name,
        "metadata": metadata,
        "spec": spec,
    }


def node_status(
    config: KubeletConfig,
    facts: MachineFacts,
    images: Sequence[Image],
    old: Doc,
    now: float,
) -> Doc:
    """A patch of the Node's status; old is the one before, whose transition times live on. So does what
    others said that the node has: resources that nobody here knows of (kubernetes.io, "Advertise
    Extended Resources for a Node")."""
    capacity = _as_served(
        {
            **_extended(old, "capacity"),
            **facts.capacity,
            **config.capacity,
            **facts.devices.capacity,
        }
    )
    handlers: Doc = {}
    if facts.handlers:
        features = {"supplementalGroupsPolicy": True}
        handlers = {"runtimeHandlers": _handlers(facts), "features": features}
    return {
        **handlers,
        "capacity": capacity,
        "allocatable": {
            **dict.fromkeys(_extended(old, "allocatable").keys() - capacity.keys()),
            **allocatable(capacity, config.resources),
            **_as_served(facts.devices.allocatable),
        },
        "addresses": [
            {"type": "InternalIP", "address": config.node_ip},
            {"type": "Hostname", "address": config.node_name},
        ],
        "nodeInfo": _node_info(facts),
        "conditions": _conditions(facts, old, now),
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "images": [
            {"names": list(image.names), "sizeBytes": image.size}
            for image in sorted(images, key=lambda i: (-i.size, i.id))[:IMAGES_MAX]
        ],
    }


def _as_served(quantities: Mapping[str, str]) -> dict[str, str]:
    """As they will be read back: what is told in another form would look changed for ever."""
    return {name: quantity(text) for name, text in quantities.items()}


def _handlers(facts: MachineFacts) -> list[Doc]:
    return [
        {
            "name": one.name,
            "features": {
                "recursiveReadOnlyMounts": one.recursive_read_only,
                "userNamespaces": one.user_namespaces,
            },
        }
        for one in facts.handlers
    ]


def _extended(old: Doc, field: str) -> dict[str, str]:
    given: dict[str, str] = old.get(field) or {}
    return {name: amount for name, amount in given.items() if is_extended_resource(name)}


def _node_info(facts: MachineFacts) -> Doc:
    return {
        "architecture": facts.architecture,
        "bootID": facts.boot_id,
        "containerRuntimeVersion": facts.runtime_version,
        "kernelVersion": facts.kernel_version,
        "kubeProxyVersion": "",
        "kubeletVersion": GIT_VERSION,
        "machineID": facts.machine_id,
        "operatingSystem": "linux",
        "osImage": facts.os_image,
        "systemUUID": facts.system_uuid,
    }


_GOOD = {
    "MemoryPressure": ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    "DiskPressure": ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    "PIDPressure": ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
}
_BAD = {
    "MemoryPressure": ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
    "DiskPressure": ("KubeletHasDiskPressure", "kubelet has disk pressure"),
    "PIDPressure": ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
}


def _conditions(facts: MachineFacts, old: Doc, now: float) -> list[Doc]:
    before = {c["type"]: c for c in old.get("conditions") or []}
    wanted = []
    for type_, good in _GOOD.items():
        pressed = type_ in facts.pressure
        wanted.append((type_, "True" if pressed else "False", _BAD[type_] if pressed else good))
    ready = ("KubeletReady", "kubelet is posting ready status")
    unready = ("KubeletNotReady", facts.unready)
    wanted.append(("Ready", *(("False", unready) if facts.unready else ("True", ready))))
    conditions = [_condition(*w, before, now) for w in wanted]
    known = {c["type"] for c in conditions}
    return conditions + [c for c in before.values() if c["type"] not in known]


def _condition(
    type_: str, status: str, words: tuple[str, str], before: Mapping[str, Doc], now: float
) -> Doc:
    last = before.get(type_, {})
    same = last.get("status") == status
    return {
        "type": type_,
        "status": status,
        "reason": words[0],
        "message": words[1],
        "lastHeartbeatTime": rfc3339(now),
        "lastTransitionTime": last["lastTransitionTime"] if same else rfc3339(now),
    }


def materially_equal(one: Doc, other: Doc) -> bool:
    """Whether two statuses differ in nothing but the time of the heartbeat."""
    return _without_heartbeat(one) == _without_heartbeat(other)


def _without_heartbeat(status: Doc) -> Doc:
    conditions = [
        {key: value for key, value in c.items() if key != "lastHeartbeatTime"}
        for c in status.get("conditions") or []
    ]
    return {**status, "conditions": conditions}


def lease_doc(node: Doc, now: float) -> Doc:
    """The node's heartbeat; it is owned by the node and goes with it."""
    name, uid = node["metadata"]["name"], node["metadata"].get("uid", "")
    owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid}
    return {
        "apiVersion": kinds.LEASE.api_version,
        "kind": kinds.LEASE.name,
        "metadata": {"name": name, "namespace": LEASE_NAMESPACE, "ownerReferences": [owner]},
        "spec": {
            "holderIdentity": name,
            "leaseDurationSeconds": LEASE_DURATION_S,
            "renewTime": rfc3339_micro(now),
        },
    }


def lease_renewal(now: float) -> Doc:
    """The merge patch of one heartbeat."""
    return {"spec": {"renewTime": rfc3339_micro(now)}}
