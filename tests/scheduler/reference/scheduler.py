"""The plain scheduler itself: filter, score, choose; one pod after the other.

kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler (filtering, then scoring) and
docs/reference/scheduling/config for the order of the rules and their weights.
"""

from __future__ import annotations

from collections import Counter

from longshore.core.objects.kinds import Doc

from . import (
    balanced_allocation,
    image_locality,
    inter_pod_affinity,
    node_affinity,
    node_name,
    node_ports,
    node_resources_fit,
    pod_topology_spread,
    taint_toleration,
)
from .cluster import Cluster, Scores, name_of
from .profile import DEFAULT, Profile

FILTERS = (
    node_name.judge,
    taint_toleration.judge_cordon,
    taint_toleration.judge,
    node_affinity.judge,
    node_ports.judge,
    node_resources_fit.judge,
    pod_topology_spread.judge,
    inter_pod_affinity.judge,
)
SCORES = {
    "TaintToleration": taint_toleration.score,
    "NodeAffinity": node_affinity.score,
    "NodeResourcesFit": node_resources_fit.score,
    "PodTopologySpread": pod_topology_spread.score,
    "InterPodAffinity": inter_pod_affinity.score,
    "NodeResourcesBalancedAllocation": balanced_allocation.score,
    "ImageLocality": image_locality.score,
}
NO_NODES = "no nodes available to schedule pods"
# Scores are sums of a few hundreds: what differs by less than this is rounding.
SAME = 1e-6


def objections(cluster: Cluster, pod: Doc, profile: Profile = DEFAULT) -> dict[str, list[str]]:
    """For each node why the pod cannot go there, by the first rule that objects."""
    only = node_affinity.named(pod)
    judges = [rule(cluster, pod, profile) for rule in FILTERS]
    found = {}
    for name, node in cluster.nodes.items():
        if only is not None and name not in only:
            found[name] = [node_affinity.NOT_NAMED]
        else:
            found[name] = next((why for judge in judges if (why := judge(node))), [])
    return found


def feasible(cluster: Cluster, pod: Doc, profile: Profile = DEFAULT) -> list[Doc]:
    why = objections(cluster, pod, profile)
    return [node for name, node in cluster.nodes.items() if not why[name]]


def scores(cluster: Cluster, pod: Doc, among: list[Doc], profile: Profile = DEFAULT) -> Scores:
    """The weighted sum for each node that is left."""
    total = {name_of(node): 0.0 for node in among}
    for name, rule in SCORES.items() if among else ():
        for node, value in (rule(cluster, pod, among, profile) or {}).items():
            total[node] += profile.weights.get(name, 0) * value
    return total


def best(cluster: Cluster, pod: Doc, profile: Profile = DEFAULT) -> set[str]:
    """The nodes of which the scheduler takes one; empty: the pod has to wait."""
    among = feasible(cluster, pod, profile)
    if not among:
        return set()
    total = scores(cluster, pod, among, profile)
    highest = max(total.values())
    return {name for name, value in total.items() if value > highest - SAME}


def refusal(cluster: Cluster, pod: Doc, profile: Profile = DEFAULT) -> str:
    """Why the pod has to wait, in the words of upstream's FitError."""
    if not cluster.nodes:
        return NO_NODES
    count = len(cluster.nodes)
    if node_affinity.named(pod) == set():
        return f"0/{count} nodes are available: {node_affinity.CONFLICT}."
    reasons = Counter(why for all_ in objections(cluster, pod, profile).values() for why in all_)
    told = ", ".join(sorted(f"{times} {why}" for why, times in reasons.items()))
    return f"0/{count} nodes are available: {told}."


def schedule(cluster: Cluster, pods: list[Doc], seed: int = 0) -> list[str | None]:
    """The node of each pod, one after the other; None has to wait. The cluster is changed."""
    places: list[str | None] = []
    for pod in pods:
        choice = sorted(best(cluster, pod))
        place = choice[seed % len(choice)] if choice else None
        if place:
            cluster.bind(pod, place)
        places.append(place)
    return places
