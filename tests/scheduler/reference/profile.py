"""Settings of the plain scheduler: those of a KubeSchedulerConfiguration's profile, with its defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from longshore.core.objects.kinds import Doc

WEIGHTS: Mapping[str, float] = {
    "TaintToleration": 3,
    "NodeAffinity": 2,
    "NodeResourcesFit": 1,
    "PodTopologySpread": 2,
    "InterPodAffinity": 2,
    "NodeResourcesBalancedAllocation": 1,
    "ImageLocality": 1,
}
"""kubernetes.io/docs/reference/scheduling/config: what is not named there weighs 1."""

SYSTEM_CONSTRAINTS: tuple[Doc, ...] = (
    {
        "maxSkew": 3,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
    },
    {
        "maxSkew": 5,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "ScheduleAnyway",
    },
)


@dataclass(frozen=True)
class Profile:
    """strategy: LeastAllocated, MostAllocated or RequestedToCapacityRatio, over resources (weights
    by name) and, for the last, shape: (utilization 0..100, score 0..10), rising. balanced: the
    resources of NodeResourcesBalancedAllocation. constraints: the default spreading of pods that
    name none; None is the system's own. ignored: extended resources, and groups of them, that are
    somebody else's to count."""

    weights: Mapping[str, float] = field(default_factory=lambda: WEIGHTS)
    strategy: str = "LeastAllocated"
    resources: Mapping[str, float] = field(default_factory=lambda: {"cpu": 1, "memory": 1})
    shape: tuple[tuple[float, float], ...] = ()
    balanced: tuple[str, ...] = ("cpu", "memory")
    constraints: tuple[Doc, ...] | None = None
    added_affinity: Doc = field(default_factory=dict)
    hard_pod_affinity_weight: int = 1
    ignore_preferred_terms_of_existing_pods: bool = False
    ignored_resources: frozenset[str] = frozenset()
    ignored_resource_groups: frozenset[str] = frozenset()


DEFAULT = Profile()
