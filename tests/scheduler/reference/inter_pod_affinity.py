"""InterPodAffinity: near some pods, far from others.

kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node#inter-pod-affinity-and-anti-affinity
and KEP-2249 (namespaceSelector), KEP-3633 (matchLabelKeys, mismatchLabelKeys).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from longshore.core.objects.kinds import Doc

from .cluster import Cluster, Judge, Scores, labels_of, name_of, namespace_of
from .matching import selects
from .profile import Profile

APART = "node(s) didn't match pod affinity rules"
TOO_NEAR = "node(s) didn't match pod anti-affinity rules"
UNWELCOME = "node(s) didn't satisfy existing pods anti-affinity rules"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"

Place = tuple[str, str]
"""A domain: topology key and value."""


def judge(cluster: Cluster, pod: Doc, profile: Profile) -> Judge:
    near, far = required(pod, "podAffinity"), required(pod, "podAntiAffinity")
    company = _domains_of_company(cluster, pod, near)
    occupied = _domains_to_avoid(cluster, pod, far)
    closed = _domains_that_object(cluster, pod)
    alone = not company and bool(near) and all(matches(cluster, pod, one, pod) for one in near)

    def why(node: Doc) -> list[str]:
        places = [_place(node, one) for one in near]
        if None in places or not (alone or company.issuperset(places)):
            return [APART]
        if any(_place(node, one) in occupied for one in far):
            return [TOO_NEAR]
        return [UNWELCOME] if closed.intersection(labels_of(node).items()) else []

    return why


def _domains_of_company(cluster: Cluster, pod: Doc, near: list[Doc]) -> set[Place | None]:
    """Where a pod is that meets all terms at once, for each of the terms' keys."""
    found: set[Place | None] = set()
    for other, node in cluster.everywhere():
        if near and all(matches(cluster, pod, one, other) for one in near):
            found |= {_place(node, one) for one in near}
    return found - {None}


def _domains_to_avoid(cluster: Cluster, pod: Doc, far: list[Doc]) -> set[Place | None]:
    found = {
        _place(node, one)
        for other, node in cluster.everywhere()
        for one in far
        if matches(cluster, pod, one, other)
    }
    return found - {None}


def _domains_that_object(cluster: Cluster, pod: Doc) -> set[Place]:
    """Where a pod is that wants to be far from this one."""
    found = {
        _place(node, one)
        for other, node in cluster.everywhere()
        for one in required(other, "podAntiAffinity")
        if matches(cluster, other, one, pod)
    }
    return {place for place in found if place}


def score(cluster: Cluster, pod: Doc, among: list[Doc], profile: Profile) -> Scores | None:
    """The sum of the weights of all wishes that a node's domains meet, both ways; from the least
    to the greatest is 0 to 100."""
    own = list(preferred(pod, "podAffinity")) + list(preferred(pod, "podAntiAffinity"))
    if profile.ignore_preferred_terms_of_existing_pods and not own:
        return None
    weights = _weights(cluster, pod, profile)
    if not weights:
        return None
    sums = {
        name_of(node): sum(weights.get(place, 0) for place in labels_of(node).items())
        for node in among
    }
    low, high = min(sums.values()), max(sums.values())
    return {
        name: 100.0 * (value - low) / (high - low) if high > low else 0.0
        for name, value in sums.items()
    }


def _weights(cluster: Cluster, pod: Doc, profile: Profile) -> dict[Place, int]:
    weights: Counter[Place] = Counter()
    for other, node in cluster.everywhere():
        for weight, asker, one, asked in _wishes(pod, other, profile):
            place = _place(node, one)
            if place and matches(cluster, asker, one, asked):
                weights[place] += weight
    return weights


def _wishes(pod: Doc, other: Doc, profile: Profile) -> Iterator[tuple[int, Doc, Doc, Doc]]:
    """(weight, whose wish, its term, of whom): wishes of the new pod about one that is there, and
    those of that one about the new pod. Who must be near others is taken to like them as well."""
    for asker, asked in ((pod, other), (other, pod)):
        for one in preferred(asker, "podAffinity"):
            yield one["weight"], asker, one["podAffinityTerm"], asked
        for one in preferred(asker, "podAntiAffinity"):
            yield -one["weight"], asker, one["podAffinityTerm"], asked
    if profile.hard_pod_affinity_weight:
        for one in required(other, "podAffinity"):
            yield profile.hard_pod_affinity_weight, other, one, pod


def matches(cluster: Cluster, asker: Doc, term: Doc, other: Doc) -> bool:
    """Whether a term of the asker's is about another pod, wherever that is."""
    return _is_in_namespaces(cluster, asker, term, namespace_of(other)) and selects(
        _selector(asker, term), labels_of(other)
    )


def _is_in_namespaces(cluster: Cluster, asker: Doc, term: Doc, namespace: str) -> bool:
    """Those listed and those selected; the asker's own if the term says neither."""
    listed, selector = term.get("namespaces") or (), term.get("namespaceSelector")
    if not listed and selector is None:
        return namespace == namespace_of(asker)
    return namespace in listed or selects(selector, cluster.namespaces.get(namespace, {}))


def _selector(asker: Doc, term: Doc) -> Doc | None:
    """With matchLabelKeys and mismatchLabelKeys: and alike, or unlike, in those labels."""
    selector: Doc | None = term.get("labelSelector")
    if selector is None:
        return None
    own = labels_of(asker)
    more = [
        {"key": key, "operator": operator, "values": [own[key]]}
        for field, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn"))
        for key in term.get(field) or ()
        if key in own
    ]
    return {**selector, "matchExpressions": [*(selector.get("matchExpressions") or ()), *more]}


def required(pod: Doc, kind: str) -> list[Doc]:
    return _affinity(pod, kind).get(_REQUIRED) or []


def preferred(pod: Doc, kind: str) -> list[Doc]:
    return _affinity(pod, kind).get(_PREFERRED) or []


def _affinity(pod: Doc, kind: str) -> Doc:
    return (pod["spec"].get("affinity") or {}).get(kind) or {}


def _place(node: Doc, term: Doc) -> Place | None:
    value = labels_of(node).get(term["topologyKey"])
    return None if value is None else (term["topologyKey"], value)
