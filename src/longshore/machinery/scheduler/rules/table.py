"""The rules in the order in which they are asked, with the weights that upstream gives them
(pkg/scheduler/apis/config/v1/default_plugins.go)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.profile import Profile
from longshore.machinery.scheduler.rules import (
    balanced_allocation,
    dynamic_ports,
    dynamic_resources,
    image_locality,
    inter_pod_affinity,
    node_affinity,
    node_constraints,
    node_label,
    node_ports,
    node_resources_fit,
    node_unschedulable,
    node_volume_limits,
    pod_topology_spread,
    service_affinity,
    taint_toleration,
    volume_binding,
    volume_restrictions,
    volume_zone,
)  # fmt: skip
from longshore.machinery.scheduler.rules.objection import Objection
from longshore.machinery.scheduler.view.columns import Mask, Scores
from longshore.machinery.scheduler.view.view import ClusterView

Filter: TypeAlias = Callable[[ClusterView, PodClass, Profile], Iterable[Objection]]
Score: TypeAlias = Callable[[ClusterView, PodClass, Mask, Profile], Scores | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """filter tells the rows that it objects to; score gives 0 to 100, normalised over some rows, or
    None if it says nothing of a pod. shape: its objections depend on the nodes' shape alone."""

    name: str
    filter: Filter | None = None
    score: Score | None = None
    weight: float = 0.0
    shape: bool = False


RULES: tuple[Rule, ...] = (
    Rule("NodeAffinity", node_affinity.narrow, shape=True),
    Rule("NodeUnschedulable", node_unschedulable.filter, shape=True),
    Rule("TaintToleration", taint_toleration.filter, taint_toleration.score, 3.0, shape=True),
    Rule("NodeAffinity", node_affinity.filter, node_affinity.score, 2.0, shape=True),
    Rule("NodeConstraints", node_constraints.filter, node_constraints.score, 2.0),
    Rule("NodeConstraints", node_constraints.keep_apart),
    Rule("NodeLabel", node_label.filter, node_label.score, 1.0),
    Rule("NodePorts", node_ports.filter),
    Rule("DynamicPorts", dynamic_ports.filter),
    Rule("NodeResourcesFit", node_resources_fit.filter, node_resources_fit.score, 1.0),
    Rule("VolumeRestrictions", volume_restrictions.filter),
    Rule("NodeVolumeLimits", node_volume_limits.filter),
    Rule("VolumeBinding", volume_binding.filter, volume_binding.score, 1.0),
    Rule("VolumeZone", volume_zone.filter),
    Rule("DynamicResources", dynamic_resources.filter),
    Rule("PodTopologySpread", pod_topology_spread.filter, pod_topology_spread.score, 2.0),
    Rule("InterPodAffinity", inter_pod_affinity.filter, inter_pod_affinity.score, 2.0),
    Rule("ServiceAffinity", service_affinity.filter, service_affinity.score, 1.0),
    Rule("ImageLocality", score=image_locality.score, weight=1.0),
    Rule("NodeResourcesBalancedAllocation", score=balanced_allocation.score, weight=1.0),
)
# What rests on the load of rows alone is remembered for each load (fills.py).
_BY_LOAD = ("NodeResourcesFit", "NodeResourcesBalancedAllocation")
_SHAPE = tuple(rule.filter for rule in RULES if rule.filter and rule.shape)
_CHANGING = tuple(
    rule.filter for rule in RULES if rule.filter and not rule.shape and rule.name not in _BY_LOAD
)
_SCORES = tuple(
    (rule.name, rule.score, rule.weight)
    for rule in RULES
    if rule.score and rule.name not in _BY_LOAD
)


def weight_of(rule: Rule, profile: Profile) -> float:
    return profile.weights.get(rule.name, rule.weight)


def suited(view: ClusterView, pod_class: PodClass, profile: Profile) -> Mask | None:
    """The rows to which no rule of shape objects; None for all nodes."""

    def found() -> tuple[Mask, bool]:
        mask = view.alive.copy()
        for objections in _SHAPE:
            for one in objections(view, pod_class, profile):
                mask &= ~one.rows
        return mask, bool((mask == view.alive).all())

    mask, everywhere = view.remembered(("suited", pod_class.demand, profile), found)
    return None if everywhere else mask


def changing(view: ClusterView, pod_class: PodClass, profile: Profile) -> Iterator[Objection]:
    """The objections that depend on which pods are there, room for resources aside."""
    for objections in _CHANGING:
        yield from objections(view, pod_class, profile)


def wishes(
    view: ClusterView, pod_class: PodClass, among: Mask, profile: Profile, but: str = ""
) -> Scores | None:
    """The sum of all scores but those by load, and but one rule's; None if none says anything."""
    total: Scores | None = None
    for name, score, weight in _SCORES:
        if name == but:
            continue
        found = score(view, pod_class, among, profile)
        if found is not None:
            weighed = profile.weights.get(name, weight) * found
            total = weighed if total is None else total + weighed
    return total
