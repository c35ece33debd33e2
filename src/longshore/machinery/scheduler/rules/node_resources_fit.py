"""NodeResourcesFit: room for what a pod requests, and how full a node should rather be.

https://kubernetes.io/docs/concepts/scheduling-eviction/resource-bin-packing/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.profile import Profile, Strategy
from longshore.machinery.scheduler.rules.objection import Objection
from longshore.machinery.scheduler.view.columns import (
    CPU,
    MEMORY,
    PODS,
    Amounts,
    Mask,
    Rows,
    Scores,
)
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
    return score_at(view, pod_class, profile, np.arange(view.size), 1.0)


def score_at(
    view: ClusterView,
    pod_class: PodClass,
    profile: Profile,
    rows: Rows | slice,
    more: Scores | float,
) -> Scores:
    """The score of some rows for the last of so many more pods (a column of numbers: one line for
    each). The weighted mean over the resources that a node has; extended ones count if asked for."""
    total: Any = 0.0
    weights: Any = 0.0
    for name, weight in profile.resources:
        column = weighed_column(view, pod_class, name)
        if column is None:
            continue
        parts = view.parts[column, rows]
        points = _points(profile, _taken(view, pod_class, name, column, rows, more) * parts)
        counted = _counted(view, profile, column, parts, points)
        total = total + weight * (points if counted is True else points * counted)
        weights = weights + weight * counted
    return np.asarray(total / np.maximum(weights, 1e-9))


def weighed_column(view: ClusterView, pod_class: PodClass, name: str) -> int | None:
    """The column of a resource if it is weighed for a pod: what is not common to all pods is only
    if the pod asks for it."""
    if ("/" in name or name.startswith("hugepages-")) and name not in pod_class.requests:
        return None
    return view.resources.get(name)


def everywhere(view: ClusterView, column: int) -> bool:
    """Whether every node has some of a resource."""
    lacking = view.remembered(
        ("lacking", column), lambda: np.flatnonzero(view.alive & (view.parts[column] == 0))
    )
    return not len(lacking)


def _taken(
    view: ClusterView, pod_class: PodClass, name: str, column: int, rows: Rows | slice,
    more: Scores | float,
) -> Scores:  # fmt: skip
    if column in (CPU, MEMORY):
        taken: Scores = view.scored[column, rows] + pod_class.scored[column] * more
    else:
        taken = view.used[column, rows] + pod_class.requests.get(name, 0) * more
    return taken


def _points(profile: Profile, full: Scores) -> Scores:
    """0 to 100 where a share of a resource will be in use; more than 1 counts as all."""
    if profile.strategy is Strategy.LEAST:
        return np.asarray(100.0 * np.maximum(1.0 - full, 0.0), np.float64)
    if profile.strategy is Strategy.MOST:
        return np.asarray(100.0 * np.minimum(full, 1.0), np.float64)
    percents, scores = zip(*profile.shape, strict=True)
    return np.asarray(10.0 * np.interp(100.0 * full, percents, scores), np.float64)


def _counted(
    view: ClusterView, profile: Profile, column: int, parts: Scores, points: Scores
) -> Mask | bool:
    """Where a resource is part of the mean. By RequestedToCapacityRatio what scores nothing is
    left out altogether (requested_to_capacity_ratio.go)."""
    if profile.strategy is Strategy.RATIO:
        return (parts > 0) & (points > 0)
    return True if everywhere(view, column) else parts > 0
