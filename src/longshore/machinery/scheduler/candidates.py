"""The nodes that can take a pod of a class, and how they score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.suitability import Memo
from longshore.machinery.scheduler.view.columns import PODS, Amounts, Rows, Scores
from longshore.machinery.scheduler.view.view import ClusterView

SPREAD_WEIGHT = 2.0
# The skews of the default spreading constraints (podtopologyspread systemDefaultConstraints).
HOST_SKEW, ZONE_SKEW = 3, 5


@dataclass(slots=True)
class Nodes:
    """The nodes that can take at least one pod, in columns; room is for how many."""

    rows: Rows
    room: Amounts
    scored: Scores
    allocatable: Scores
    wish: Scores
    group: Amounts
    zones: Amounts


def room(view: ClusterView, pod_class: PodClass) -> Amounts:
    """How many pods of a class each row can still take; never negative."""
    wanted = view.request(pod_class)
    if wanted is None:
        return np.zeros(view.size, np.int64)
    free = view.allocatable - view.used
    room: Amounts = free[PODS]
    for column, value in wanted:
        if column != PODS:
            room = np.minimum(room, free[column] // value)
    room = np.maximum(room, 0)
    if pod_class.ports:
        room = np.minimum(room, 1) * ~view.ports_taken(pod_class.ports)
    return room


def candidates(view: ClusterView, pod_class: PodClass, memo: Memo) -> Nodes:
    suits = memo.of(view, pod_class.demand)
    left = np.where(suits.fits, room(view, pod_class), 0)
    rows = np.flatnonzero(left)
    group = view.group_counts(pod_class.group)
    return Nodes(
        rows=rows,
        room=left[rows],
        scored=view.scored[:, rows].astype(np.float64),
        allocatable=np.maximum(view.allocatable[:2, rows], 1).astype(np.float64),
        wish=suits.wish[rows],
        group=group[rows],
        zones=view.zones[rows],
    )


def fill_score(nodes: Nodes, pod_class: PodClass, more: Scores | float) -> Scores:
    """LeastAllocated and BalancedAllocation once so many more pods (an array: layers) are there."""
    cpu, memory = (
        np.minimum((nodes.scored[i] + pod_class.scored[i] * more) / nodes.allocatable[i], 1.0)
        for i in (0, 1)
    )
    least = 100.0 * (1.0 - (cpu + memory) / 2.0)
    balanced = 100.0 * (1.0 - np.abs(cpu - memory) / 2.0)
    score: Scores = least + balanced
    return score


def spread_score(group: Amounts, zone_counts: Amounts, zones: Amounts) -> Scores:
    """PodTopologySpread's score with the default constraints: few pods of the group on a node and
    in its zone are good."""
    badness = group * np.log(len(group) + 2.0) + (HOST_SKEW - 1)
    inside = zones > 0
    if inside.any():
        weight = np.log(len(np.unique(zones[inside])) + 2.0)
        badness = badness + np.where(inside, zone_counts[zones] * weight + (ZONE_SKEW - 1), 0.0)
    most = badness.max()
    score: Scores = 100.0 * (most + badness.min() - badness) / most
    return score
