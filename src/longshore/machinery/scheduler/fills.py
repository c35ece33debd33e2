"""How rows score by their load, for each load that pods bring; kept up to date row by row."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np

from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.profile import Profile
from longshore.machinery.scheduler.rules import balanced_allocation, node_resources_fit
from longshore.machinery.scheduler.rules.weighing import Where, weighing
from longshore.machinery.scheduler.view.columns import Scores
from longshore.machinery.scheduler.view.view import ClusterView

# Loads that are remembered: each is a column.
FILLS_MAX = 256
FIT, BALANCE = "NodeResourcesFit", "NodeResourcesBalancedAllocation"


class Fill:
    """What the two rules by load say of one load, while the nodes' shape stands."""

    def __init__(self, view: ClusterView, pod_class: PodClass, profile: Profile) -> None:
        self.shape = view.shape
        self._profile = profile
        self._wanted = node_resources_fit.wanted(view, pod_class, profile)
        self._fit = weighing(view, pod_class, profile.resources, scored=True)
        self._balance = balanced_allocation.balance(view, pod_class, profile)
        self._weights = profile.weights.get(FIT, 1.0), profile.weights.get(BALANCE, 1.0)
        self._epoch = self._heard = -1
        self._scores: Scores = np.zeros(0)

    def scores(self, view: ClusterView) -> Scores:
        """For every row its weighed scores for one more pod, -inf where it has no room."""
        loads = view.loads
        told = len(loads.journal) - self._heard
        if self._epoch != loads.epoch or told * 4 > view.size:
            self._scores = self._checked(view, slice(0, view.size))
        elif told:
            rows = np.array(loads.journal[self._heard :])
            self._scores[rows] = self._checked(view, rows)
        self._epoch, self._heard = loads.epoch, len(loads.journal)
        return self._scores

    def at(self, view: ClusterView, where: Where, more: Scores | float) -> Scores:
        """The weighed scores of some rows for the last of so many more pods, room or not."""
        fit, balance = self._weights
        found = fit * node_resources_fit.score_at(view, self._fit, self._profile, where, more)
        if self._balance is not None:
            found += balance * balanced_allocation.score_at(view, self._balance, where, more)
        return found

    def _checked(self, view: ClusterView, where: Where) -> Scores:
        found = self.at(view, where, 1.0)
        if self._wanted is None:
            found[:] = -np.inf
        for line, amount in self._wanted or ():
            free = view.loads.free[line]
            short = (free[where] if isinstance(where, slice) else free.take(where)) < amount
            np.copyto(found, -np.inf, where=short)
        return found


class Fills:
    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._known: OrderedDict[object, Fill] = OrderedDict()

    def of(self, view: ClusterView, pod_class: PodClass) -> Fill:
        found = self._known.get(pod_class.load)
        if found is None or found.shape != view.shape:
            if len(self._known) >= FILLS_MAX:
                self._known.popitem(last=False)
            found = self._known[pod_class.load] = Fill(view, pod_class, self._profile)
        self._known.move_to_end(pod_class.load)
        return found
