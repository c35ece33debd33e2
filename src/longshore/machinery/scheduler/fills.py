"""How rows score by their load, for each load that pods bring; kept up to date row by row."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np

from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.profile import Profile
from longshore.machinery.scheduler.rules import balanced_allocation, node_resources_fit
from longshore.machinery.scheduler.view.columns import Rows, Scores
from longshore.machinery.scheduler.view.view import ClusterView

# Loads that are remembered: each is a column.
FILLS_MAX = 256


class Fill:
    """score: NodeResourcesFit and NodeResourcesBalancedAllocation with their weights for one more
    pod of a load; -inf where it has no room."""

    __slots__ = ("_epoch", "_heard", "_shape", "score")

    def __init__(self) -> None:
        self.score: Scores = np.zeros(0)
        self._epoch = self._heard = self._shape = -1

    def catch_up(self, view: ClusterView, pod_class: PodClass, profile: Profile) -> None:
        """Score anew what changed since the last time."""
        loads = view.loads
        told = len(loads.journal) - self._heard
        if (self._shape, self._epoch) != (view.shape, loads.epoch) or told * 4 > view.size:
            self.score = fill_score(view, pod_class, profile, slice(None))
        elif told:
            rows = np.array(loads.journal[self._heard :], np.intp)
            self.score[rows] = fill_score(view, pod_class, profile, rows)
        self._shape, self._epoch, self._heard = view.shape, loads.epoch, len(loads.journal)


class Fills:
    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._known: OrderedDict[object, Fill] = OrderedDict()

    def of(self, view: ClusterView, pod_class: PodClass) -> Scores:
        """The scores of all rows for one more pod of a class; belongs to the memory."""
        found = self._known.get(pod_class.load)
        if found is None:
            if len(self._known) >= FILLS_MAX:
                self._known.popitem(last=False)
            found = self._known[pod_class.load] = Fill()
        else:
            self._known.move_to_end(pod_class.load)
        found.catch_up(view, pod_class, self._profile)
        return found.score


def fill_score(
    view: ClusterView, pod_class: PodClass, profile: Profile, rows: Rows | slice
) -> Scores:
    wanted = node_resources_fit.wanted(view, pod_class, profile)
    if wanted is None:
        return np.full(len(view.alive[rows]), -np.inf)
    fits = view.free[wanted[0][0], rows] >= wanted[0][1]
    for column, value in wanted[1:]:
        fits &= view.free[column, rows] >= value
    return np.where(fits, by_load(view, pod_class, profile, rows, 1.0), -np.inf)


def by_load(
    view: ClusterView,
    pod_class: PodClass,
    profile: Profile,
    rows: Rows | slice,
    more: Scores | float,
) -> Scores:
    """What the two rules by load give some rows for the last of so many more pods."""
    weight = profile.weights.get("NodeResourcesFit", 1.0)
    score = weight * node_resources_fit.score_at(view, pod_class, profile, rows, more)
    balanced = balanced_allocation.score_at(view, pod_class, profile, rows, more)
    if balanced is not None:
        score += profile.weights.get("NodeResourcesBalancedAllocation", 1.0) * balanced
    return score
