"""PodTopologySpread: pods that are alike are spread over domains, such as zones.

https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import log

import numpy as np

from longshore.machinery.scheduler.pods.kin import Query
from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.pods.spread import Constraint, Spread
from longshore.machinery.scheduler.profile import HOSTNAME, SYSTEM_SPREADING, ZONE, Profile
from longshore.machinery.scheduler.rules import node_affinity, taint_toleration
from longshore.machinery.scheduler.rules.objection import Objection, extremes
from longshore.machinery.scheduler.view.columns import Amounts, Mask, Scores
from longshore.machinery.scheduler.view.topologies import Topology
from longshore.machinery.scheduler.view.view import ClusterView

UNEVEN = "node(s) didn't match pod topology spread constraints"
# Rows with pods up to which they are summed one by one (measured).
_FEW = 32
MISSING = f"{UNEVEN} (missing required label)"


def constraints_of(pod_class: PodClass, profile: Profile) -> Spread | None:
    """A pod's own constraints, or else the default ones, if it has a controller."""
    if pod_class.spread is not None:
        return pod_class.spread
    return None if pod_class.peers is None else profile.spreading


def filter(view: ClusterView, pod_class: PodClass, profile: Profile) -> Iterator[Objection]:
    spread = constraints_of(pod_class, profile)
    if spread is None or not spread.hard:
        return
    left = view.alive.copy()
    for one in spread.hard:
        lacking = left & ~view.topology(one.topology_key).inside
        yield Objection(lacking, MISSING, resolvable=False)
        left &= ~lacking
        uneven = left & _overfull(view, pod_class, one, spread.hard)
        yield Objection(uneven, UNEVEN, resolvable=True)
        left &= ~uneven


def _overfull(
    view: ClusterView, pod_class: PodClass, one: Constraint, needed: Sequence[Constraint]
) -> Mask:
    """The rows in whose domain one more pod would be too many."""
    topology = view.topology(one.topology_key)
    counted = eligible(view, pod_class, one, needed)
    pods = pods_by_domain(view, pod_class, one, topology, counted)
    domains = topology.present(counted)
    least = int(pods[domains].min()) if len(domains) >= one.min_domains else 0
    over: Mask = pods + one.counts_itself - least > one.max_skew
    return over[topology.of]


def eligible(
    view: ClusterView, pod_class: PodClass, one: Constraint, needed: Sequence[Constraint]
) -> Mask:
    """The rows whose pods count: those with the keys of all constraints, as far as its policies let
    the pod itself onto them."""
    demand = pod_class.demand

    def found() -> Mask:
        mask = view.alive.copy()
        for other in needed:
            mask &= view.topology(other.topology_key).inside
        if one.honours_affinity:
            mask &= node_affinity.wanted(view, demand)
        if one.honours_taints:
            mask &= taint_toleration.tolerates(view, demand)
        return mask

    return view.remembered((one, demand, len(needed)), found)


def pods_by_domain(
    view: ClusterView, pod_class: PodClass, one: Constraint, topology: Topology, counted: Mask
) -> Amounts:
    """How many pods a constraint counts in each domain of some rows."""
    query = query_of(pod_class, one)
    if query is None:
        return np.zeros(topology.count + 1, np.int64)
    counts = view.counts(query)
    if len(counts.rows) > _FEW:
        return topology.sums(view.column(counts) * counted)
    pods = np.zeros(topology.count + 1, np.int64)
    for row, number in counts.rows.items():
        pods[topology.of[row]] += number * counted[row]
    return pods


def query_of(pod_class: PodClass, one: Constraint) -> Query | None:
    return one.query if pod_class.spread is not None else pod_class.peers


def score(view: ClusterView, pod_class: PodClass, among: Mask, profile: Profile) -> Scores | None:
    """Few pods in its domains are good for a node. A domain's count weighs by the logarithm of how
    many domains there are. Nodes that lack a key score nothing, but by the system's constraints."""
    spread = constraints_of(pod_class, profile)
    if spread is None or not spread.soft or says_nothing(view, pod_class, spread):
        return None
    needed = () if spread is SYSTEM_SPREADING else spread.soft
    told = among.copy()
    for one in needed:
        told &= view.topology(one.topology_key).inside
    bad = np.zeros(view.size)
    for one in spread.soft:
        if view.topology(one.topology_key).count:  # where no node has a zone, zones say nothing
            bad += _badness(view, pod_class, one, needed, told)
    return _reversed(bad, told)


def says_nothing(view: ClusterView, pod_class: PodClass, spread: Spread) -> bool:
    """The first pod of a controller goes anywhere: so it is, unless some nodes lack a zone."""
    if spread is not SYSTEM_SPREADING or view.tallies.any_peers(pod_class.kin):
        return False
    return not view.remembered("labelled otherwise", lambda: _labelled_otherwise(view))


def _labelled_otherwise(view: ClusterView) -> list[str]:
    """The keys that some nodes have and others lack."""
    inside = {key: view.topology(key).inside[view.alive] for key in (HOSTNAME, ZONE)}
    return [key for key, mask in inside.items() if mask.any() and not mask.all()]


def _badness(
    view: ClusterView,
    pod_class: PodClass,
    one: Constraint,
    needed: Sequence[Constraint],
    told: Mask,
) -> Scores:
    topology = view.topology(one.topology_key)
    query = query_of(pod_class, one)
    if one.topology_key == HOSTNAME and query is not None:
        peers = view.column(view.counts(query))
        crowd = np.multiply(peers, log(np.count_nonzero(told) + 2.0), dtype=np.float64)
        crowd += one.max_skew - 1
        return crowd if topology.everywhere else crowd * topology.inside
    counted = eligible(view, pod_class, one, needed)
    size = _domains_among(topology, told)
    pods = pods_by_domain(view, pod_class, one, topology, counted)
    crowd = np.multiply(pods, log(size + 2.0), dtype=np.float64) + (one.max_skew - 1)
    crowd[0] = 0.0
    return crowd[topology.of]


def _domains_among(topology: Topology, told: Mask) -> int:
    """How many domains some rows are in; those in none are in one together."""
    if topology.everywhere and told.all():
        return topology.count
    return len(topology.present(told)) + bool((told & ~topology.inside).any())


def _reversed(bad: Scores, told: Mask) -> Scores:
    least, most = extremes(bad, told)
    good: Scores = (100.0 / most) * (most + least - bad) if most else np.full(len(bad), 100.0)
    return good * told
