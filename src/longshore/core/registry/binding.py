"""What giving a pod its node makes of the pod, and when it is refused. Pure.

Source: pkg/registry/core/pod/storage (BindingREST), plugin/pkg/admission/podtopologylabels.
"""

from __future__ import annotations

from collections.abc import Iterable

from longshore.core.objects import kinds, offers
from longshore.core.objects.errors import Cause, Conflict, Invalid
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Bind
from longshore.core.watch.stored import Stored

# Nodes whose labels are remembered; beyond that the memory begins anew.
_NODES_MAX = 65_536
# The labels of its node that a pod is given; a pod may not ask for more through them.
_TOPOLOGY = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone")


def topology_labels(node: Stored | None) -> dict[str, str]:
    """What of a node's labels its pods get; none of a node that is not there."""
    if node is None or b"topology.kubernetes.io/" not in node.rest:
        return {}
    labels = node.glance()["metadata"].get("labels") or {}
    return {key: labels[key] for key in _TOPOLOGY if key in labels}


class TopologyLabels:
    """topology_labels(), read once for each state of a node: nodes are many and bindings too, so a
    node is mostly not decoded when it is bound to."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, dict[str, str]]] = {}

    def of(self, node: Stored | None) -> dict[str, str]:
        if node is None:
            return {}
        known = self._known.get(node.key)
        if known is None or known[0] != node.revision:
            if len(self._known) >= _NODES_MAX:
                self._known.clear()
            known = self._known[node.key] = node.revision, topology_labels(node)
        return known[1]


def bound(pod: Doc, operation: Bind, labels: dict[str, str], now: str) -> Doc:
    """The pod on its node, sharing all that did not change; now is RFC3339. Raises Conflict if it
    cannot be bound, Invalid for a binding without a node."""
    _check(pod, operation)
    status = pod.get("status") or {}
    return {
        **pod,
        "metadata": _metadata(pod["metadata"], operation, labels),
        "spec": {**pod["spec"], "nodeName": operation.node},
        "status": {
            **{key: value for key, value in status.items() if key != "nominatedNodeName"},
            "conditions": _scheduled(status.get("conditions") or (), now),
        },
    }


def _metadata(metadata: Doc, operation: Bind, labels: dict[str, str]) -> Doc:
    made = dict(metadata)
    if labels or operation.labels:
        made["labels"] = {**(made.get("labels") or {}), **(operation.labels or {}), **labels}
    had = metadata.get("annotations") or {}
    if operation.annotations or offers.ANNOTATION in had:
        # Of which offer a pod takes is for its binding to say, not for whoever made it.
        had = {key: value for key, value in had.items() if key != offers.ANNOTATION}
        made["annotations"] = {**had, **(operation.annotations or {})}
    return made


def _scheduled(conditions: Iterable[Doc], now: str) -> list[Doc]:
    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": now}
    others = [one for one in conditions if one["type"] != "PodScheduled"]
    return [*others, scheduled]


def _check(pod: Doc, operation: Bind) -> None:
    metadata, name = pod["metadata"], operation.name
    if operation.uid and operation.uid != metadata["uid"]:
        raise _unmet(name, "UID", operation.uid, metadata["uid"])
    if operation.revision and operation.revision != metadata["resourceVersion"]:
        raise _unmet(name, "ResourceVersion", operation.revision, metadata["resourceVersion"])
    if "deletionTimestamp" in metadata:
        raise _conflict(name, f"pod {name} is being deleted, cannot be assigned to a host")
    taken = pod["spec"].get("nodeName")
    if taken:
        raise _conflict(name, f'pod {name} is already assigned to node "{taken}"')
    if pod["spec"].get("schedulingGates"):
        raise _conflict(name, f"pod {name} has non-empty .spec.schedulingGates")
    if not operation.node:
        cause = Cause("FieldValueRequired", "Required value", "target.name")
        raise Invalid.of(kinds.BINDING, name, [cause])


def _unmet(name: str, what: str, wanted: str, had: str) -> Conflict:
    why = f"Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {had}"
    return Conflict.of(kinds.POD, name, why)


def _conflict(name: str, why: str) -> Conflict:
    message = f'Operation cannot be fulfilled on pods/binding "{name}": {why}'
    return Conflict(message, kind=kinds.POD, name=name)
