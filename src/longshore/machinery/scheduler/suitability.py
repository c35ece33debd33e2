"""How a demand is met by the nodes: depends on their shape alone, so it is remembered."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from longshore.machinery.scheduler.pods.demand import Demand
from longshore.machinery.scheduler.taints import CORDON, Taint, tolerated, untolerated
from longshore.machinery.scheduler.view.columns import Mask, Scores
from longshore.machinery.scheduler.view.view import ClusterView

# Demands whose suitability is remembered: each is two columns.
MEMO_MAX = 4096
AFFINITY_WEIGHT, TAINT_WEIGHT = 2.0, 3.0


@dataclass(frozen=True, slots=True)
class Suitability:
    """How a demand is met: depends only on the shape of the nodes. fits: no filter objects,
    room and ports aside. wish: the score of preferences."""

    shape: int
    fits: Mask
    wish: Scores


@dataclass(slots=True)
class Memo:
    """Suitabilities that still hold; at most a few thousand, then it begins anew."""

    known: dict[Demand, Suitability] = field(default_factory=dict)

    def of(self, view: ClusterView, demand: Demand) -> Suitability:
        found = self.known.get(demand)
        if found is None or found.shape != view.shape:
            if len(self.known) >= MEMO_MAX:
                self.known.clear()
            found = self.known[demand] = suitability(view, demand)
        return found


def suitability(view: ClusterView, demand: Demand) -> Suitability:
    fits = view.alive & ~kept_off(view, demand) & _tolerant(view, demand)
    fits &= wanted(view, demand)
    wish = np.zeros(view.size)
    avoid = np.array([_avoided(demand, taints) for taints in view.taint_sets], np.float64)
    if avoid.any():
        wish += TAINT_WEIGHT * _reversed_share(avoid[view.taints], fits)
    if demand.preferred:
        liked = np.zeros(view.size)
        for weight, term in demand.preferred:
            liked += weight * view.matching(term)
        wish += AFFINITY_WEIGHT * (100.0 - _reversed_share(liked, fits))
    return Suitability(view.shape, fits, wish)


def _reversed_share(values: Scores, among: Mask) -> Scores:
    """0 to 100, the more the less of values: normalised by the greatest among some rows."""
    most = values[among].max(initial=0.0)
    return 100.0 - 100.0 * values / most if most else np.full(len(values), 100.0)


def _avoided(demand: Demand, taints: tuple[Taint, ...]) -> int:
    return sum(
        taint.effect == "PreferNoSchedule" and not tolerated(taint, demand.tolerations)
        for taint in taints
    )


def kept_off(view: ClusterView, demand: Demand) -> Mask:
    if tolerated(CORDON, demand.tolerations):
        return np.zeros(view.size, np.bool_)
    return view.cordoned


def _tolerant(view: ClusterView, demand: Demand) -> Mask:
    passes = [untolerated(taints, demand.tolerations) is None for taints in view.taint_sets]
    mask: Mask = np.array(passes, np.bool_)[view.taints]
    return mask


def wanted(view: ClusterView, demand: Demand) -> Mask:
    mask = view.matching(demand.selector)
    if demand.terms:
        any_term = np.zeros(view.size, np.bool_)
        for term in demand.terms:
            any_term |= view.matching(term)
        mask &= any_term
    return mask
