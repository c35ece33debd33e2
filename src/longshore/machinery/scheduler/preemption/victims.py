"""Which pods of each node would have to go, found for all nodes at once. Pure.

Rules: SelectVictimsOnNode and pickOneNodeForPreemption of Kubernetes
(pkg/scheduler/framework/plugins/defaultpreemption, pkg/scheduler/framework/preemption).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longshore.machinery.scheduler.preemption.roster import Times
from longshore.machinery.scheduler.view.columns import Amounts, Mask, Rows

# Added to priorities that are summed, so that a further victim is never a gain (upstream: 1 << 31).
_ABOVE_ALL_NEGATIVE = 1 << 31
_NONE = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class Removable:
    """The pods that may go, in columns, one entry a pod. slot: which it is in the roster; at: the
    place of its node among those asked about; amounts: what each column gains without it, a row of
    the array a column."""

    slot: Rows
    at: Rows
    priority: Amounts
    start: Times
    free: Mask
    amounts: Amounts

    def of(self, chosen: Rows) -> Removable:
        return Removable(
            self.slot[chosen], self.at[chosen], self.priority[chosen], self.start[chosen],
            self.free[chosen], self.amounts[:, chosen],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Costs:
    """What making room costs on each node: violated budgets, the priority of the most important
    victim, the sum of priorities, how many victims, and when the earliest of the most important
    ones started."""

    violations: Amounts
    highest: Amounts
    total: Times
    count: Amounts
    earliest: Times

    def cheapest(self, among: Rows, rotation: int) -> Rows:
        """Nodes in upstream's order of preference; among equals, from rotation on."""
        turned = (among - rotation) % max(len(self.count), 1)
        order = np.lexsort((
            turned, -self.earliest[among], self.count[among], self.total[among],
            self.highest[among], self.violations[among],
        ))  # fmt: skip
        return among[order]

    def alike(self, order: Rows) -> int:
        """How many at the head of an order cost the same, start times aside."""
        same = np.ones(len(order), np.bool_)
        for column in (self.violations, self.highest, self.total, self.count):
            same &= column[order] == column[order[0]]
        return len(order) if same.all() else int(same.argmin())


def by_importance(pods: Removable, violating: Mask | None) -> Rows:
    """An order of pods: node by node, first those whose budget would be violated, the important
    ones (a higher priority, then an earlier start) before the others."""
    later = np.zeros(len(pods.at), np.bool_) if violating is None else ~violating
    return np.lexsort((pods.start, -pods.priority, later, pods.at))


def places_in_row(at: Rows) -> Rows:
    """Which of its node's pods each is, from 0; at must be sorted."""
    _, starts, counts = np.unique(at, return_index=True, return_counts=True)
    return np.arange(len(at)) - np.repeat(starts, counts)


def over_budget(at: Rows, budget: Rows, allowed: Amounts) -> Mask:
    """Pods in the order of importance, each with the number of a budget that covers it (a pod of two
    budgets twice): for whom that budget has no disruption left, counting on each node from its most
    important pod on."""
    order = np.lexsort((np.arange(len(at)), budget, at))
    sorted_at, sorted_budget = at[order], budget[order]
    begins = np.ones(len(at), np.bool_)
    begins[1:] = (sorted_at[1:] != sorted_at[:-1]) | (sorted_budget[1:] != sorted_budget[:-1])
    first = np.maximum.accumulate(np.where(begins, np.arange(len(at)), 0))
    rank = np.arange(len(at)) - first
    over = np.zeros(len(at), np.bool_)
    over[order] = rank >= np.maximum(allowed[sorted_budget], 0)
    return over


def victims(spare: Amounts, pods: Removable) -> Mask:
    """Which pods have to go. pods: in the order of by_importance, of nodes that have room when all of
    them are gone; spare: what is then left beyond the preemptor, by column and node. One pod of
    every node is looked at in a round: it may stay if that leaves nothing short."""
    spare = spare.copy()
    place = places_in_row(pods.at)
    rounds = np.argsort(place, kind="stable")
    ends = np.searchsorted(place[rounds], np.arange(place.max(initial=-1) + 1), side="right")
    gone = np.ones(len(place), np.bool_)
    begin = 0
    for end in ends.tolist():
        now = rounds[begin:end]
        at, amounts = pods.at[now], pods.amounts[:, now]
        stays = (amounts <= spare[:, at]).all(axis=0) & ~pods.free[now]
        spare[:, at] -= amounts * stays
        gone[now] = ~stays
        begin = end
    return gone & ~pods.free


def costs(size: int, pods: Removable, gone: Mask, violating: Mask) -> Costs:
    """What the victims of each of size nodes come to."""
    at, priority, start = pods.at[gone], pods.priority[gone], pods.start[gone]
    highest = np.full(size, _NONE, np.int64)
    np.maximum.at(highest, at, priority)
    earliest = np.full(size, np.inf)
    top = priority == highest[at]
    np.minimum.at(earliest, at[top], start[top])
    total = np.zeros(size)
    np.add.at(total, at, priority + float(_ABOVE_ALL_NEGATIVE))
    return Costs(
        violations=np.bincount(pods.at[gone & violating], minlength=size),
        highest=highest,
        total=total,
        count=np.bincount(at, minlength=size),
        earliest=earliest,
    )
