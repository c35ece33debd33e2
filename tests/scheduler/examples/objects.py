"""Nodes and pods as the documentation's pages draw them: big nodes, pods that take nothing."""

from __future__ import annotations

from typing import Any

from longshore.core.objects.kinds import Doc

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"


def node(name: str, labels: dict[str, str] | None = None, **more: Any) -> Doc:
    """more: amounts (of status.allocatable), and fields of the spec."""
    amounts = {"cpu": "64", "memory": "256Gi", "pods": "110", **more.pop("amounts", {})}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {HOST: name, **(labels or {})},
            "resourceVersion": "1",
        },
        "spec": more,
        "status": {"allocatable": amounts},
    }


def pod(name: str, labels: dict[str, str] | None = None, **more: Any) -> Doc:
    """more: requests (of the only container), on (its node), namespace, owner (its controller's
    uid), and fields of the spec."""
    metadata: Doc = {
        "name": name,
        "namespace": more.pop("namespace", "default"),
        "uid": f"uid-{name}",
        "labels": labels or {},
        "resourceVersion": "1",
    }
    if owner := more.pop("owner", ""):
        metadata["ownerReferences"] = [{"uid": owner, "controller": True}]
    spec: Doc = {"containers": [{"name": "c", "image": "pause"}]}
    if requests := more.pop("requests", None):
        spec["containers"][0]["resources"] = {"requests": requests}
    if on := more.pop("on", ""):
        spec["nodeName"] = on
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {**spec, **more},
        "status": {"phase": "Pending"},
    }


def expression(key: str, operator: str, *values: str) -> Doc:
    return {"key": key, "operator": operator, "values": list(values)}
