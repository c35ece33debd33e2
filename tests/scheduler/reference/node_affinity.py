"""NodeAffinity: nodeSelector, nodeAffinity, and what a profile adds to every pod.

kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node: node affinity, weights ("the
weight is added to a sum"), and node affinity per scheduling profile.
"""

from __future__ import annotations

from longshore.core.objects.kinds import Doc

from .cluster import Cluster, Judge, Scores, name_of
from .matching import node_affinity, node_is_asked_for, node_meets
from .profile import Profile

REASON = "node(s) didn't match Pod's node affinity/selector"
ENFORCED = "node(s) didn't match scheduler-enforced node affinity"
NOT_NAMED = "node(s) didn't satisfy plugin(s) [NodeAffinity]"
CONFLICT = "pod affinity terms conflict"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def judge(cluster: Cluster, pod: Doc, profile: Profile) -> Judge:
    added = profile.added_affinity.get(_REQUIRED)

    def why(node: Doc) -> list[str]:
        if added and not any(node_meets(term, node) for term in added["nodeSelectorTerms"]):
            return [ENFORCED]
        return [] if node_is_asked_for(pod, node) else [REASON]

    return why


def score(cluster: Cluster, pod: Doc, among: list[Doc], profile: Profile) -> Scores | None:
    """The sum of the weights of what holds, as a share of the greatest sum."""
    terms = [
        *(profile.added_affinity.get(_PREFERRED) or ()),
        *(node_affinity(pod).get(_PREFERRED) or ()),
    ]
    if not terms:
        return None
    sums = {
        name_of(node): sum(one["weight"] for one in terms if node_meets(one["preference"], node))
        for node in among
    }
    most = max(sums.values())
    return {name: 100.0 * liked / most if most else 0.0 for name, liked in sums.items()}


def named(pod: Doc) -> set[str] | None:
    """The only nodes that the pod can go to, if every alternative names some; such a pod is not
    tried elsewhere (NodeAffinity's PreFilter)."""
    terms = (node_affinity(pod).get(_REQUIRED) or {}).get("nodeSelectorTerms") or ()
    names: set[str] = set()
    for term in terms:
        lists = [
            set(one["values"])
            for one in term.get("matchFields") or ()
            if one["key"] == "metadata.name" and one["operator"] == "In"
        ]
        if not lists:
            return None
        names |= set.intersection(*lists)
    return names if terms else None
