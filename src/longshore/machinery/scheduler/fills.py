"""How rows score by their load, for each load that pods bring; kept up to date row by row."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np

from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.profile import Profile
from longshore.machinery.scheduler.rules import balanced_allocation, node_resources_fit
from longshore.machinery.scheduler.rules.weighing import Where, cut, weighing
from longshore.machinery.scheduler.view.columns import Amounts, Mask, Scores
from longshore.machinery.scheduler.view.view import ClusterView

# Loads that are remembered: each is a column.
FILLS_MAX = 256
FIT, BALANCE = "NodeResourcesFit", "NodeResourcesBalancedAllocation"


class Fill:
    """What the two rules by load say of one load, while which nodes there are stands, and which of
    them have which resources."""

    def __init__(self, view: ClusterView, pod_class: PodClass, profile: Profile) -> None:
        self._made_for = _terms(view)
        self._profile = profile
        self._least = _least(view, pod_class, profile)
        self._fit = weighing(view, pod_class, profile.resources, scored=True)
        self._balance = balanced_allocation.balance(view, pod_class, profile)
        self._both = self._fit.with_(self._balance) if self._balance is not None else self._fit
        self._weights = profile.weights.get(FIT, 1.0), profile.weights.get(BALANCE, 1.0)
        self._epoch = self._heard = -1
        self.fits: Mask = np.zeros(0, np.bool_)
        """The rows that have room for one more pod."""
        self.scores: Scores = np.zeros(0)
        """Their weighed scores, -inf where there is no room."""

    def stands(self, view: ClusterView) -> bool:
        return self._made_for == _terms(view)

    def catch_up(self, view: ClusterView) -> None:
        """Look anew at the rows that have changed."""
        loads = view.loads
        news = loads.told - self._heard
        if self._epoch != loads.epoch or news * 4 > view.size:
            self.scores, self.fits = self._looked_at(view, slice(0, view.size))
        elif news:
            rows = loads.journal[self._heard : loads.told]
            self.scores[rows], self.fits[rows] = self._looked_at(view, rows)
        self._epoch, self._heard = loads.epoch, loads.told

    def at(self, view: ClusterView, where: Where, more: Scores | float) -> Scores:
        """The weighed scores of some rows for the last of so many more pods, room or not."""
        taken, parts = self._both.there(view.loads, where)
        shares, first = self._both.shares((taken, parts), more), len(self._fit.asked)
        fit, balance = self._weights
        found = fit * node_resources_fit.mean(
            self._fit, self._profile, shares[:first], parts[:first]
        )
        if self._balance is not None:
            there = taken[first:], parts[first:]
            found += balance * balanced_allocation.gain(self._balance, there, shares[first:], more)
        return found

    def _looked_at(self, view: ClusterView, where: Where) -> tuple[Scores, Mask]:
        scores = self.at(view, where, 1.0)
        fits = np.logical_and.reduce(cut(view.loads.free, where) >= self._least)
        scores[~fits] = -np.inf
        return scores, fits


def _terms(view: ClusterView) -> tuple[int, int]:
    return view.shape, view.loads.edition


def _least(view: ClusterView, pod_class: PodClass, profile: Profile) -> Amounts:
    """What must be free of each resource for one pod, as a column."""
    nothing = np.iinfo(np.int64)
    wanted = node_resources_fit.wanted(view, pod_class, profile)
    if wanted is None:
        return np.full((1, 1), nothing.max)
    least = np.full((len(view.resources), 1), nothing.min)
    for line, amount in wanted:
        least[line] = amount
    return least


class Fills:
    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._known: OrderedDict[object, Fill] = OrderedDict()

    def of(self, view: ClusterView, pod_class: PodClass) -> Fill:
        found = self._known.get(pod_class.load)
        if found is None or not found.stands(view):
            if len(self._known) >= FILLS_MAX:
                self._known.popitem(last=False)
            found = self._known[pod_class.load] = Fill(view, pod_class, self._profile)
        self._known.move_to_end(pod_class.load)
        found.catch_up(view)
        return found
