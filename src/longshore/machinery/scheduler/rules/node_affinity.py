"""NodeAffinity: nodeSelector, nodeAffinity, and what a profile adds to every pod.

https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from longshore.machinery.scheduler.pods.demand import Demand, Term
from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.profile import Profile
from longshore.machinery.scheduler.rules.objection import Objection, share_of_most
from longshore.machinery.scheduler.view.columns import Mask, Scores
from longshore.machinery.scheduler.view.view import ClusterView

REASON = "node(s) didn't match Pod's node affinity/selector"
ENFORCED = "node(s) didn't match scheduler-enforced node affinity"
CONFLICT = "pod affinity terms conflict"
NOT_NAMED = "node(s) didn't satisfy plugin(s) [NodeAffinity]"


def narrow(view: ClusterView, pod_class: PodClass, profile: Profile) -> Iterator[Objection]:
    """Pods that name their nodes are tried nowhere else (the plug-in's PreFilter)."""
    pinned = pod_class.demand.pinned
    if pinned is not None:
        others = view.alive.copy()
        others[[view.rows[name] for name in pinned if name in view.rows]] = False
        reason = NOT_NAMED if pinned else CONFLICT
        yield Objection(others, reason, resolvable=False, whole=not pinned)


def filter(view: ClusterView, pod_class: PodClass, profile: Profile) -> Iterator[Objection]:
    kept = view.alive
    if profile.added_terms:
        kept = _any_of(view, profile.added_terms)
        yield Objection(~kept, ENFORCED, resolvable=False)
    yield Objection(kept & ~wanted(view, pod_class.demand), REASON, resolvable=False)


def wanted(view: ClusterView, demand: Demand) -> Mask:
    """The rows that a pod's own selector and required affinity allow."""
    mask = view.matching(demand.selector)
    return mask & _any_of(view, demand.terms) if demand.terms else mask


def _any_of(view: ClusterView, terms: Sequence[Term]) -> Mask:
    mask = np.zeros(view.size, np.bool_)
    for term in terms:
        mask |= view.matching(term)
    return mask


def score(view: ClusterView, pod_class: PodClass, among: Mask, profile: Profile) -> Scores | None:
    """The sum of the weights of the preferences that hold."""
    preferred = (*profile.added_preferred, *pod_class.demand.preferred)
    if not preferred:
        return None
    question = ("liked", pod_class.demand, profile)
    return share_of_most(view.remembered(question, lambda: _liked(view, preferred)), among)


def _liked(view: ClusterView, preferred: Sequence[tuple[int, Term]]) -> Scores:
    liked = np.zeros(view.size)
    for weight, term in preferred:
        liked += weight * view.matching(term)
    return liked
