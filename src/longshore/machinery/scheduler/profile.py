"""What one scheduler's settings say: weights, strategies, default constraints. Pure.

Source: https://kubernetes.io/docs/reference/scheduling/config/.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from longshore.machinery.scheduler.pods.demand import Term
from longshore.machinery.scheduler.pods.spread import Spread, default_spread

HOSTNAME, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"


class Strategy(Enum):
    """How full a node should rather be (NodeResourcesFitArgs.scoringStrategy.type)."""

    LEAST = "LeastAllocated"
    MOST = "MostAllocated"
    RATIO = "RequestedToCapacityRatio"


SYSTEM_SPREADING = default_spread(
    (
        {"maxSkew": 3, "topologyKey": HOSTNAME, "whenUnsatisfiable": "ScheduleAnyway"},
        {"maxSkew": 5, "topologyKey": ZONE, "whenUnsatisfiable": "ScheduleAnyway"},
    )
)
"""The default constraints of who sets none (podtopologyspread systemDefaultConstraints)."""


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """weights: of rules, where they are not the default ones. resources: what NodeResourcesFit
    weighs, with weights; shape: (percent in use, score of 0 to 10) for RequestedToCapacityRatio.
    balanced: what NodeResourcesBalancedAllocation looks at. spreading: default constraints, which
    count the pods of the same controller. added_terms, added_preferred: node affinity of every pod.
    near_weight: what a required affinity of pods already there weighs. ignored: extended resources,
    or what is before their slash, that somebody else accounts for. affinity_labels: names of labels
    whose values the pods of a Service share; anti_affinity_labels: over whose values they are
    spread. present_labels, absent_labels: what nodes must have or not; liked_labels, shunned_labels:
    rather."""

    name: str = "default-scheduler"
    weights: Mapping[str, float] = field(default_factory=dict)
    strategy: Strategy = Strategy.LEAST
    resources: tuple[tuple[str, float], ...] = (("cpu", 1.0), ("memory", 1.0))
    shape: tuple[tuple[float, float], ...] = ()
    balanced: tuple[str, ...] = ("cpu", "memory")
    spreading: Spread = SYSTEM_SPREADING
    added_terms: tuple[Term, ...] = ()
    added_preferred: tuple[tuple[int, Term], ...] = ()
    near_weight: int = 1
    deaf_to_wishes_of_others: bool = False
    ignored: frozenset[str] = frozenset()
    affinity_labels: tuple[str, ...] = ()
    anti_affinity_labels: tuple[str, ...] = ()
    present_labels: tuple[str, ...] = ()
    absent_labels: tuple[str, ...] = ()
    liked_labels: tuple[str, ...] = ()
    shunned_labels: tuple[str, ...] = ()

    @property
    def asks_for_services(self) -> bool:
        """Whether it matters which Services select a pod."""
        return bool(self.affinity_labels or self.anti_affinity_labels)

    def ignores(self, resource: str) -> bool:
        group, slash, _ = resource.partition("/")
        return bool(slash) and (resource in self.ignored or group in self.ignored)


DEFAULT = Profile()
PROFILES: Mapping[str, Profile] = {DEFAULT.name: DEFAULT}
"""The only scheduler, where nothing else is said."""
