"""NodeResourcesFit: room for what a pod requests, and how full a node should rather be.

https://kubernetes.io/docs/concepts/scheduling-eviction/resource-bin-packing/
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np

from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.profile import Profile, Strategy
from longshore.machinery.scheduler.rules.objection import Objection
from longshore.machinery.scheduler.rules.weighing import Weighing, Where, weighing
from longshore.machinery.scheduler.view.columns import PODS, Amounts, Mask, Scores
from longshore.machinery.scheduler.view.view import ClusterView

TOO_MANY = "Too many pods"


def filter(view: ClusterView, pod_class: PodClass, profile: Profile) -> Iterator[Objection]:
    """One objection for every resource that is short, so a node may be in several."""
    yield Objection(view.free[PODS] < 1, TOO_MANY, resolvable=True)
    for name, value in pod_class.requests.items():
        if profile.ignores(name):
            continue
        column, reason = view.resources.get(name), f"Insufficient {name}"
        if column is None:
            yield Objection(view.alive, reason, resolvable=False)
            continue
        hopeless = view.allocatable[column] < value
        yield Objection(hopeless, reason, resolvable=False)
        yield Objection((view.free[column] < value) & ~hopeless, reason, resolvable=True)


def wanted(
    view: ClusterView, pod_class: PodClass, profile: Profile
) -> list[tuple[int, int]] | None:
    """(column, amount) of what must be free; None if no node has ever offered such a thing."""
    amounts = [(PODS, 1)]
    for name, value in pod_class.requests.items():
        if profile.ignores(name):
            continue
        column = view.resources.get(name)
        if column is None:
            return None
        amounts.append((column, value))
    return amounts


def room(view: ClusterView, pod_class: PodClass, profile: Profile) -> Amounts:
    """How many pods of a class each row can still take; never negative."""
    amounts = wanted(view, pod_class, profile)
    if amounts is None:
        return np.zeros(view.size, np.int64)
    left: Amounts = view.free[PODS]
    for column, value in amounts[1:]:
        left = np.minimum(left, view.free[column] // value)
    return np.maximum(left, 0)


def score(view: ClusterView, pod_class: PodClass, among: Mask, profile: Profile) -> Scores:
    weighed = weighing(view, pod_class, profile.resources, scored=True)
    return score_at(view, weighed, profile, slice(0, view.size), 1.0)


def score_at(
    view: ClusterView, weighed: Weighing, profile: Profile, where: Where, more: Scores | float
) -> Scores:
    """The score of some rows for the last of so many more pods (a column of numbers: one line for
    each)."""
    there = weighed.there(view.loads, where)
    return mean(weighed, profile, weighed.shares(there, more), there[1])


def mean(weighed: Weighing, profile: Profile, shares: Scores, parts: Scores) -> Scores:
    """The weighted mean of what the shares in use are worth, over the resources that a node has."""
    points, present = _points(profile, shares), weighed.present(parts, shares)
    if profile.strategy is Strategy.RATIO:
        # What scores nothing is left out of the mean (requested_to_capacity_ratio.go).
        present = np.where(points > 0, 1.0 if present is None else present, 0.0)
    if present is None:
        return _weighted(weighed.weights, points)
    total = np.maximum(_weighted(weighed.weights, present), 1e-9)
    return _weighted(weighed.weights, points * present) / total


def _weighted(weights: Scores, lines: Scores) -> Scores:
    """The weighted sum over the lines, of which there may be none (dot() is several times faster
    than sum() and tensordot())."""
    shape = lines.shape[1:]
    total: Scores = weights.dot(lines.reshape(len(lines), prod(shape))).reshape(shape)
    return total


def _points(profile: Profile, shares: Scores) -> Scores:
    """0 to 100 for the share of a resource that will be in use."""
    if profile.strategy is Strategy.LEAST:
        return 100.0 - 100.0 * shares
    if profile.strategy is Strategy.MOST:
        return 100.0 * shares
    percents, scores = zip(*profile.shape, strict=True)
    return np.asarray(10.0 * np.interp(100.0 * shares, percents, scores), np.float64)
