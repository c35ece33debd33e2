"""A daemon's pods: how one is made for a node, which node one is for, which of several is kept. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.common import pods as pod_state
from longshore.machinery.controllers.common.owners import reference
from longshore.machinery.controllers.daemonset.nodes import REQUIRED, tolerations
from longshore.machinery.controllers.history.plan import HASH_LABEL


class PodMaker:
    """Makes the pods of a DaemonSet's template. What they have in common is made once."""

    def __init__(self, daemon_set: Doc, mark: str) -> None:
        """mark: the hash of the template's revision."""
        template, metadata = daemon_set["spec"]["template"], daemon_set["metadata"]
        given = template.get("metadata") or {}
        self._metadata: Doc = {
            "generateName": f"{metadata['name']}-",
            "namespace": metadata["namespace"],
            "labels": {**(given.get("labels") or {}), HASH_LABEL: mark},
            "ownerReferences": [reference(kinds.DAEMON_SET, daemon_set)],
        }
        for field in ("annotations", "finalizers"):
            if value := given.get(field):
                self._metadata[field] = value
        spec = template["spec"]
        self._spec: Doc = {**spec, "tolerations": tolerations(spec)}
        self._affinity = spec.get("affinity") or {}

    def pod_for(self, node: str) -> Doc:
        """The scheduler binds it, since it may go to that node only. What else the template asks of
        nodes has been looked at (ReplaceDaemonSetPodNodeNameNodeAffinity)."""
        field = {"key": "metadata.name", "operator": "In", "values": [node]}
        term = {"nodeSelectorTerms": [{"matchFields": [field]}]}
        by_node = {**(self._affinity.get("nodeAffinity") or {}), REQUIRED: term}
        affinity = {**self._affinity, "nodeAffinity": by_node}
        spec = {**self._spec, "affinity": affinity}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": self._metadata, "spec": spec}


def node_of(pod: Doc) -> str:
    """The node that a pod is on or is for; empty if it does not say."""
    if name := pod_state.node_name(pod):
        return name
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    for term in (affinity.get(REQUIRED) or {}).get("nodeSelectorTerms") or ():
        for field in term.get("matchFields") or ():
            values: list[str] = field.get("values") or []
            if field["key"] == "metadata.name" and field["operator"] == "In" and len(values) == 1:
                return values[0]
    return ""


def mark_of(pod: Doc) -> str:
    """The hash of the revision that it was made of."""
    return str((pod["metadata"].get("labels") or {}).get(HASH_LABEL, ""))


def by_age(pods: Iterable[Doc]) -> list[Doc]:
    """Those on a node first, the oldest of them first (podByCreationTimestampAndPhase)."""

    def order(pod: Doc) -> tuple[bool, str, str]:
        metadata = pod["metadata"]
        return not pod_state.node_name(pod), metadata["creationTimestamp"], metadata["name"]

    return sorted(pods, key=order)
