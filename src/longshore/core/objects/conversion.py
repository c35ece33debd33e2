"""The same object in another version of its kind. Pure.

Objects are stored in one version, the hub; the others are made of it when they are asked for.
Sources: pkg/apis/core/v1 and events/v1 conversion.go (Event), autoscaling/v1/conversion.go (HPA:
what v1 has no field for travels in annotations). Peers are the
hub without what is nobody else's business; they are read and never written.
"""

from __future__ import annotations

from collections.abc import Callable

import orjson

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind


def to_hub(kind: Kind, doc: Doc) -> Doc:
    """An object of a version that is not stored, as its hub. May share parts with doc."""
    assert kind.hub is not None, kind
    return _convert(kind.hub, doc, _TO_HUB[kind.schema])


def from_hub(kind: Kind, doc: Doc) -> Doc:
    """A stored object, as another version of its kind. May share parts with doc."""
    return _convert(kind, doc, _FROM_HUB[kind.schema])


def _convert(target: Kind, doc: Doc, change: Callable[[Doc], Doc]) -> Doc:
    changed = change(doc)
    head = {"apiVersion": target.api_version, "kind": target.name}
    return {**head, **{k: v for k, v in changed.items() if k not in head and v is not None}}


# ---- events

_EVENT_NAMES = {
    "involvedObject": "regarding",
    "message": "note",
    "reportingComponent": "reportingController",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
}
_EVENT_NAMES_BACK = {new: old for old, new in _EVENT_NAMES.items()}


def _event_from_hub(doc: Doc) -> Doc:
    return {_EVENT_NAMES.get(key, key): value for key, value in doc.items()}


def _event_to_hub(doc: Doc) -> Doc:
    return {_EVENT_NAMES_BACK.get(key, key): value for key, value in doc.items()}


# ---- horizontal pod autoscalers

_HIDDEN = "autoscaling.alpha.kubernetes.io/"
_METRICS, _CONDITIONS = f"{_HIDDEN}metrics", f"{_HIDDEN}conditions"
_CURRENT, _BEHAVIOR = f"{_HIDDEN}current-metrics", f"{_HIDDEN}behavior"
_HIDDEN_ALL = frozenset((_METRICS, _CONDITIONS, _CURRENT, _BEHAVIOR))


def _hpa_from_hub(doc: Doc) -> Doc:
    spec, status = dict(doc.get("spec") or {}), dict(doc.get("status") or {})
    hidden: Doc = {}
    target = None
    others = []
    for metric in spec.pop("metrics", None) or ():
        use = _cpu_target(metric) if target is None else None
        if use is None:
            others.append(metric)
        else:
            target = use
    if others:
        hidden[_METRICS] = others
    if "behavior" in spec:
        hidden[_BEHAVIOR] = spec.pop("behavior")
    spec["targetCPUUtilizationPercentage"] = target
    if status.get("conditions"):
        hidden[_CONDITIONS] = status["conditions"]
    status.pop("conditions", None)
    current = status.pop("currentMetrics", None)
    status["currentCPUUtilizationPercentage"] = _cpu_current(current or ())
    if current:
        hidden[_CURRENT] = current
    annotations = {name: orjson.dumps(value).decode() for name, value in hidden.items()}
    return {**_annotated(doc, annotations), "spec": _some(spec), "status": _some(status)}


def _hpa_to_hub(doc: Doc) -> Doc:
    spec, status = dict(doc.get("spec") or {}), dict(doc.get("status") or {})
    metadata = doc.get("metadata") or {}
    given = metadata.get("annotations") or {}
    hidden = {name: _decoded(given.get(name)) for name in _HIDDEN_ALL}
    metrics = []
    target = spec.pop("targetCPUUtilizationPercentage", None)
    if target is not None:
        metrics.append(
            {
                "type": "Resource",
                "resource": {
                    "name": "cpu",
                    "target": {"type": "Utilization", "averageUtilization": target},
                },
            }
        )
    others = hidden[_METRICS]
    spec["metrics"] = metrics + (others if isinstance(others, list) else []) or None
    spec["behavior"] = hidden[_BEHAVIOR]
    status.pop("currentCPUUtilizationPercentage", None)
    status["conditions"], status["currentMetrics"] = hidden[_CONDITIONS], hidden[_CURRENT]
    return {**_annotated(doc, {}), "spec": _some(spec), "status": _some(status)}


def _annotated(doc: Doc, hidden: dict[str, str]) -> Doc:
    """The document with just these of the annotations that carry what has no field."""
    metadata = dict(doc.get("metadata") or {})
    kept = {
        k: v for k, v in (metadata.pop("annotations", None) or {}).items() if k not in _HIDDEN_ALL
    }
    if kept or hidden:
        metadata["annotations"] = {**kept, **hidden}
    return {**doc, "metadata": metadata}


def _some(fields: Doc) -> Doc:
    return {key: value for key, value in fields.items() if value is not None}


def _decoded(text: str | None) -> list[Doc] | Doc | None:
    try:
        found = orjson.loads(text) if text else None
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, list | dict) else None


def _cpu_target(metric: Doc) -> int | None:
    resource = metric.get("resource") or {}
    if metric.get("type") != "Resource" or resource.get("name") != "cpu":
        return None
    found = (resource.get("target") or {}).get("averageUtilization")
    return found if isinstance(found, int) else None


def _cpu_current(metrics: list[Doc] | tuple[Doc, ...]) -> int | None:
    for metric in metrics:
        resource = metric.get("resource") or {}
        if metric.get("type") == "Resource" and resource.get("name") == "cpu":
            found = (resource.get("current") or {}).get("averageUtilization")
            return found if isinstance(found, int) else None
    return None


# ---- peers: what nodes may know of pods, namespaces and one another

_KNOWN_OF_ALL = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp", "labels")


def _peer_of_pod(doc: Doc) -> Doc:
    """Where a pod is, its labels, and the ports that it has names for: no more than policies go by."""
    spec, status = doc.get("spec") or {}, doc.get("status") or {}
    staying = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    containers = [
        {"name": one["name"], "ports": ports}
        for one in (*(spec.get("containers") or ()), *staying)
        if (ports := [port for port in one.get("ports") or () if port.get("name")])
    ]
    placed = {key: spec[key] for key in ("nodeName", "hostNetwork") if key in spec}
    return {
        "metadata": _known_of_all(doc),
        "spec": {**placed, "containers": containers},
        "status": {key: status[key] for key in ("phase", "podIP") if key in status},
    }


def _peer_of_namespace(doc: Doc) -> Doc:
    return {"metadata": _known_of_all(doc)}


def _peer_of_node(doc: Doc) -> Doc:
    """Where a node's pods are to be found: their range, and the address by which one gets there."""
    spec, status = doc.get("spec") or {}, doc.get("status") or {}
    inner = [one for one in status.get("addresses") or () if one["type"] == "InternalIP"]
    return {
        "metadata": _known_of_all(doc),
        "spec": {key: spec[key] for key in ("podCIDR", "podCIDRs") if key in spec},
        "status": {"addresses": inner} if inner else {},
    }


def _known_of_all(doc: Doc) -> Doc:
    return {key: doc["metadata"][key] for key in _KNOWN_OF_ALL if key in doc["metadata"]}


_FROM_HUB: dict[str, Callable[[Doc], Doc]] = {
    kinds.EVENT_V1.schema: _event_from_hub,
    kinds.HPA_V1.schema: _hpa_from_hub,
    kinds.POD_PEER.schema: _peer_of_pod,
    kinds.NAMESPACE_PEER.schema: _peer_of_namespace,
    kinds.NODE_PEER.schema: _peer_of_node,
}
_TO_HUB: dict[str, Callable[[Doc], Doc]] = {
    kinds.EVENT_V1.schema: _event_to_hub,
    kinds.HPA_V1.schema: _hpa_to_hub,
}
