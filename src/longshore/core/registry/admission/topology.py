"""PodTopologyLabels: a pod knows the zone and region of its node by its labels
(plugin/pkg/admission/podtopologylabels). Pods that are bound get theirs with the binding; these are
those that are made for a node."""

from __future__ import annotations

from longshore.core.objects import kinds
from longshore.core.registry.admission.attributes import Attributes, Hook, Hooks
from longshore.core.registry.binding import topology_labels

NAME = "PodTopologyLabels"


def _label(request: Attributes) -> None:
    name = request.doc["spec"].get("nodeName")
    if not name:
        return
    labels = topology_labels(request.cache.shelf(kinds.NODE).get(kinds.NODE.key("", name)))
    if labels:
        metadata = request.doc["metadata"]
        metadata["labels"] = {**(metadata.get("labels") or {}), **labels}


# The node is looked up only for pods that name theirs.
HOOKS = Hooks(changes=(Hook(_label, (kinds.POD,), ("create", "update"), looks_up=()),))
