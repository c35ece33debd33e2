"""The definitions of what is measured (metrics.k8s.io/v1beta1), which no release of Kubernetes
carries: they are metrics-server's own (k8s.io/metrics pkg/apis/metrics/v1beta1)."""

from __future__ import annotations

from typing import Any

from longshore.core.objects.kinds import NODE_METRICS, POD_METRICS, Kind

_META = "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1."
_QUANTITY = "#/definitions/io.k8s.apimachinery.pkg.api.resource.Quantity"
_CONTAINER = POD_METRICS.schema.replace("PodMetrics", "ContainerMetrics")

Definition = dict[str, Any]


def measured_definitions() -> dict[str, Definition]:
    """By name, as OpenAPI v2 has them. Built anew: the caller may keep or change it."""
    containers = {
        "type": "array", "items": {"$ref": f"#/definitions/{_CONTAINER}"},
        "description": "What each container used within the window.",
        "x-kubernetes-patch-merge-key": "name", "x-kubernetes-patch-strategy": "merge",
    }  # fmt: skip
    return {
        _CONTAINER: _container(),
        POD_METRICS.schema: _measurement(POD_METRICS, "a pod", "containers", containers),
        NODE_METRICS.schema: _measurement(NODE_METRICS, "a node", "usage", _usage()),
        f"{POD_METRICS.schema}List": _list(POD_METRICS),
        f"{NODE_METRICS.schema}List": _list(NODE_METRICS),
    }


def _usage() -> Definition:
    return {
        "type": "object", "additionalProperties": {"$ref": _QUANTITY},
        "description": "How much of each resource was used.",
    }  # fmt: skip


def _container() -> Definition:
    name = {"type": "string", "description": "The container's name, as in the pod."}
    return {
        "description": "What one container of a pod used.", "type": "object",
        "required": ["name", "usage"], "properties": {"name": name, "usage": _usage()},
    }  # fmt: skip


def _measurement(kind: Kind, whose: str, field: str, figures: Definition) -> Definition:
    metadata = {"$ref": f"{_META}ObjectMeta", "description": "The object's metadata."}
    window = {
        "type": "string",
        "description": "Usage is an average over [timestamp - window, timestamp].",
    }
    time = {"$ref": f"{_META}Time", "description": "The end of the window."}
    return {
        "description": f"What {whose} used in a span of time.",
        "type": "object",
        "required": ["timestamp", "window", field],
        "properties": {**_typed(), "metadata": metadata, "timestamp": time, "window": window, field: figures},
        **_named(kind, kind.name),
    }  # fmt: skip


def _list(kind: Kind) -> Definition:
    items = {
        "type": "array",
        "items": {"$ref": f"#/definitions/{kind.schema}"},
        "description": "The measurements.",
    }
    metadata = {"$ref": f"{_META}ListMeta", "description": "The list's metadata."}
    return {
        "description": f"A list of {kind.name}.", "type": "object", "required": ["items"],
        "properties": {**_typed(), "items": items, "metadata": metadata}, **_named(kind, kind.list_name),
    }  # fmt: skip


def _typed() -> Definition:
    return {
        "apiVersion": {"type": "string", "description": "The version of this form of the object."},
        "kind": {"type": "string", "description": "What the object is."},
    }


def _named(kind: Kind, name: str) -> Definition:
    gvk = {"group": kind.group, "kind": name, "version": kind.version}
    return {"x-kubernetes-group-version-kind": [gvk]}
