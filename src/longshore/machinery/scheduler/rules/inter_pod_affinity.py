"""InterPodAffinity: pods that are to be near others, or apart from them.

https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#inter-pod-affinity-and-anti-affinity
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from longshore.machinery.scheduler.pods.affinity import PodAffinity, PodTerm, Role
from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.profile import Profile
from longshore.machinery.scheduler.rules.objection import Objection, stretched
from longshore.machinery.scheduler.view.columns import Mask, Scores
from longshore.machinery.scheduler.view.tallies import Counts
from longshore.machinery.scheduler.view.view import ClusterView

NOT_NEAR = "node(s) didn't match pod affinity rules"
NOT_APART = "node(s) didn't match pod anti-affinity rules"
NOT_WELCOME = "node(s) didn't satisfy existing pods anti-affinity rules"


def filter(view: ClusterView, pod_class: PodClass, profile: Profile) -> Iterable[Objection]:
    concerning = view.tallies.concerning(pod_class.kin)
    if pod_class.affinity is None and not concerning:
        return ()
    return _first(view, _objections(view, pod_class, concerning))


def _first(view: ClusterView, objections: Iterable[Objection]) -> Iterator[Objection]:
    """A node counts for the first objection alone."""
    left = view.alive.copy()
    for one in objections:
        yield Objection(one.rows & left, one.reason, one.resolvable)
        left &= ~one.rows


def _objections(
    view: ClusterView, pod_class: PodClass, concerning: Iterable[PodTerm]
) -> Iterator[Objection]:
    affinity = pod_class.affinity
    if affinity is not None and affinity.near_all is not None:
        yield Objection(~_near(view, pod_class, affinity), NOT_NEAR, resolvable=False)
    for term in affinity.apart if affinity is not None else ():
        taken = _shared_with(view, term, view.counts(term.query))
        yield Objection(taken, NOT_APART, resolvable=True)
    for term in concerning:
        if term.role is Role.APART:
            taken = _shared_with(view, term, view.tallies.carrying(term))
            yield Objection(taken, NOT_WELCOME, resolvable=True)


def _near(view: ClusterView, pod_class: PodClass, affinity: PodAffinity) -> Mask:
    """The rows that share all required kinds of place with pods that all terms mean. Where there
    are no such pods at all, who is one itself may begin anywhere that has the keys."""
    assert affinity.near_all is not None
    counts = view.counts(affinity.near_all)
    topologies = [view.topology(term.topology_key) for term in affinity.near]
    mask = view.alive.copy()
    if not any(topology.inside[row] for row in counts.rows for topology in topologies):
        if not affinity.near_all.matches(pod_class.kin, view.tallies.namespaces):
            return ~mask & False
        for topology in topologies:
            mask &= topology.inside
        return mask
    column = view.column(counts)
    for topology in topologies:
        mask &= topology.shared(column) > 0
    return mask


def _shared_with(view: ClusterView, term: PodTerm, counts: Counts) -> Mask:
    """The rows that share a term's kind of place with some pods."""
    if not counts.rows:
        return np.zeros(view.size, np.bool_)
    shared: Mask = view.topology(term.topology_key).shared(view.column(counts)) > 0
    return shared


def score(view: ClusterView, pod_class: PodClass, among: Mask, profile: Profile) -> Scores | None:
    """The weights of wishes that hold, the pod's own and, the other way round, those of pods that
    are there; and a little for nodes near pods that require to be near this one."""
    wishes = list(_wishes(view, pod_class, profile))
    if not wishes:
        return None
    total = np.zeros(view.size)
    for weight, term, counts in wishes:
        total += weight * view.topology(term.topology_key).shared(view.column(counts))
    return stretched(total, among)


def _wishes(
    view: ClusterView, pod_class: PodClass, profile: Profile
) -> Iterator[tuple[int, PodTerm, Counts]]:
    """Weights, with the pods whose neighbourhood they are for."""
    own = pod_class.affinity.wishes if pod_class.affinity is not None else ()
    for term in own:
        counts = view.counts(term.query)
        if counts.rows:
            yield term.weight, term, counts
    if profile.deaf_to_wishes_of_others and not own:
        return
    for term in view.tallies.concerning(pod_class.kin):
        weight = profile.near_weight if term.role is Role.NEAR else term.weight
        if weight:
            yield weight, term, view.tallies.carrying(term)
