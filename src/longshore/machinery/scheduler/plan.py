"""Choose nodes for pods of one class. Pure: a view and a class in, rows out; run.py binds.

Filters and scores are those of the default kube-scheduler: resources, node name, selector and
affinity, taints, cordons, host ports; LeastAllocated + BalancedAllocation + 2 x spread + 2 x
preferred node affinity + 3 x preferred taints, each of 0 to 100. Few pods are placed one after the
other, exactly; many at once by taking the best of all nodes' next places (see _many).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from longshore.machinery.scheduler.podclass import Demand, PodClass
from longshore.machinery.scheduler.taints import CORDON, Taint, tolerated, untolerated
from longshore.machinery.scheduler.view import PODS, Amounts, ClusterView, Mask, Rows

Scores: TypeAlias = NDArray[np.float64]

# Up to this many pods of a class are placed one at a time (measured: beyond it batches win).
EXACT_MAX = 16
# Demands whose suitability is remembered: each is two columns.
MEMO_MAX = 4096
SPREAD_WEIGHT, AFFINITY_WEIGHT, TAINT_WEIGHT = 2.0, 2.0, 3.0
# The skews of the default spreading constraints (podtopologyspread systemDefaultConstraints).
HOST_SKEW, ZONE_SKEW = 3, 5
NO_NODES = "no nodes available to schedule pods"


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


@dataclass(slots=True)
class _Nodes:
    """The nodes that can take at least one pod, in columns; room is for how many."""

    rows: Rows
    room: Amounts
    scored: Scores
    allocatable: Scores
    wish: Scores
    group: Amounts
    zones: Amounts


def place(view: ClusterView, pod_class: PodClass, count: int, memo: Memo) -> list[int]:
    """Rows for up to count pods, one entry a pod; fewer if there is no more room."""
    if pod_class.refusal:
        return []
    nodes = _candidates(view, pod_class, memo)
    if not len(nodes.rows):
        return []
    chosen = _few(nodes, pod_class, count) if count <= EXACT_MAX else _many(nodes, pod_class, count)
    rows: list[int] = nodes.rows[chosen].tolist()
    return rows


def room_on(view: ClusterView, pod_class: PodClass, rows: Rows, memo: Memo) -> int:
    """How many pods of a class would fit on some rows together."""
    if pod_class.refusal:
        return 0
    fits = memo.of(view, pod_class.demand).fits[rows]
    return int((fits * _room(view, pod_class)[rows]).sum())


def suitability(view: ClusterView, demand: Demand) -> Suitability:
    fits = view.alive & ~_kept_off(view, demand) & _tolerant(view, demand)
    fits &= _wanted(view, demand)
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


def _kept_off(view: ClusterView, demand: Demand) -> Mask:
    if tolerated(CORDON, demand.tolerations):
        return np.zeros(view.size, np.bool_)
    return view.cordoned


def _tolerant(view: ClusterView, demand: Demand) -> Mask:
    passes = [untolerated(taints, demand.tolerations) is None for taints in view.taint_sets]
    mask: Mask = np.array(passes, np.bool_)[view.taints]
    return mask


def _wanted(view: ClusterView, demand: Demand) -> Mask:
    mask = view.matching(demand.selector)
    if demand.terms:
        any_term = np.zeros(view.size, np.bool_)
        for term in demand.terms:
            any_term |= view.matching(term)
        mask &= any_term
    return mask


def _room(view: ClusterView, pod_class: PodClass) -> Amounts:
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


def _candidates(view: ClusterView, pod_class: PodClass, memo: Memo) -> _Nodes:
    suits = memo.of(view, pod_class.demand)
    room = np.where(suits.fits, _room(view, pod_class), 0)
    rows = np.flatnonzero(room)
    group = view.group_counts(pod_class.group)
    return _Nodes(
        rows=rows,
        room=room[rows],
        scored=view.scored[:, rows].astype(np.float64),
        allocatable=np.maximum(view.allocatable[:2, rows], 1).astype(np.float64),
        wish=suits.wish[rows],
        group=group[rows],
        zones=view.zones[rows],
    )


def _fill_score(nodes: _Nodes, pod_class: PodClass, more: Scores | float) -> Scores:
    """LeastAllocated and BalancedAllocation once so many more pods (an array: layers) are there."""
    cpu, memory = (
        np.minimum((nodes.scored[i] + pod_class.scored[i] * more) / nodes.allocatable[i], 1.0)
        for i in (0, 1)
    )
    least = 100.0 * (1.0 - (cpu + memory) / 2.0)
    balanced = 100.0 * (1.0 - np.abs(cpu - memory) / 2.0)
    score: Scores = least + balanced
    return score


def _spread_score(group: Amounts, zone_counts: Amounts, zones: Amounts) -> Scores:
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


def _few(nodes: _Nodes, pod_class: PodClass, count: int) -> list[int]:
    """One after the other: after each, only the chosen node and the spread are scored anew."""
    fixed = _fill_score(nodes, pod_class, 1.0) + nodes.wish
    group, room = nodes.group.copy(), nodes.room.copy()
    zone_counts = np.bincount(nodes.zones, weights=group).astype(np.int64)
    placed = np.zeros(len(room))
    chosen: list[int] = []
    # Where no pod of the group is yet, the first has nothing to keep away from.
    spread = bool(pod_class.group) and (count > 1 or bool(group.any()))
    for _ in range(count):
        total = fixed
        if spread:
            total = fixed + SPREAD_WEIGHT * _spread_score(group, zone_counts, nodes.zones)
        total = np.where(room > 0, total, -np.inf)
        best = int(total.argmax())
        if room[best] <= 0:
            break
        chosen.append(best)
        room[best] -= 1
        group[best] += 1
        zone_counts[nodes.zones[best]] += 1
        placed[best] += 1
        fixed[best] = _one(nodes, best, pod_class, placed[best] + 1)
    return chosen


def _one(nodes: _Nodes, at: int, pod_class: PodClass, more: float) -> float:
    """_fill_score and wish of a single node."""
    cpu, memory = (
        min((nodes.scored[i, at] + pod_class.scored[i] * more) / nodes.allocatable[i, at], 1.0)
        for i in (0, 1)
    )
    return float(200.0 - 50.0 * (cpu + memory) - 50.0 * abs(cpu - memory) + nodes.wish[at])


def _many(nodes: _Nodes, pod_class: PodClass, count: int) -> Rows:
    """All at once: first zones are filled to one level, then in each zone the best places win."""
    everything = np.arange(len(nodes.rows))
    count = min(count, int(nodes.room.sum()))
    zones = np.unique(nodes.zones)
    if not pod_class.group or len(zones) == 1:
        return _best(nodes, pod_class, everything, count)
    members = [everything[nodes.zones == zone] for zone in zones]
    levels = np.array([nodes.group[rows].sum() for rows in members])
    room = np.array([nodes.room[rows].sum() for rows in members])
    parts = [
        _best(nodes, pod_class, rows, share)
        for rows, share in zip(members, water_fill(levels, room, count).tolist(), strict=True)
    ]
    return np.concatenate(parts)


def water_fill(levels: Amounts, room: Amounts, count: int) -> Amounts:
    """Pour count units so that levels end as even as their room allows: what each gets.
    count must not be more than all room together."""
    assert count <= room.sum()
    low, high = int(levels.min()), int((levels + room).max())
    while low < high:
        level = (low + high + 1) // 2
        if np.clip(level - levels, 0, room).sum() <= count:
            low = level
        else:
            high = level - 1
    poured = np.clip(low - levels, 0, room)
    left = count - int(poured.sum())
    takers = np.flatnonzero((poured < room) & (levels + poured <= low))[:left]
    poured[takers] += 1
    return poured


def _best(nodes: _Nodes, pod_class: PodClass, at: Rows, count: int) -> Rows:
    """The count best places of some nodes. A node's places form a column: the score of its next
    pod, the one after, and so on, never rising; so the best places of all columns together are
    what one-at-a-time placement would choose, up to how the spread is normalised."""
    if count <= 0:
        return at[:0]
    part = _Nodes(
        at, nodes.room[at], nodes.scored[:, at], nodes.allocatable[:, at],
        nodes.wish[at], nodes.group[at], nodes.zones[at],
    )  # fmt: skip
    layers = min(2 * count // len(at) + 2, count)
    while True:
        taken = _taken(part, pod_class, layers, count)
        cut_short = (taken == layers) & (part.room > layers)
        if layers == count or (taken.sum() == count and not cut_short.any()):
            return np.repeat(at, taken)
        layers = min(2 * layers, count)


def _taken(part: _Nodes, pod_class: PodClass, layers: int, count: int) -> Amounts:
    """How many of the count best places within some layers each node has."""
    depth = np.arange(layers, dtype=np.float64)[:, np.newaxis]
    scores = _fill_score(part, pod_class, depth + 1.0) + part.wish
    if pod_class.group:
        # One level for all, the one that the group will about reach: keeps the columns independent.
        level = max(int(part.group.max()), -(-int(part.group.sum() + count) // len(part.rows)), 1)
        scores = scores - SPREAD_WEIGHT * 100.0 * (part.group + depth) / level
    scores = np.minimum.accumulate(scores, axis=0)
    scores[depth >= part.room] = -np.inf
    open_places = int(np.minimum(part.room, layers).sum())
    if open_places <= count:
        return np.minimum(part.room, layers)
    best = np.argpartition(scores, scores.size - count, axis=None)[scores.size - count :]
    return np.bincount(best % len(part.rows), minlength=len(part.rows))


def explain(view: ClusterView, pod_class: PodClass) -> str:
    """Why no node takes a pod of a class, in the words of kube-scheduler's FitError: each node
    counts for the first filter that objects, but for every resource that it is short of."""
    if pod_class.refusal:
        return pod_class.refusal
    total = int(view.alive.sum())
    if not total:
        return NO_NODES
    reasons = Counter(dict(_objections(view, pod_class)))
    told = ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items() if count))
    return f"0/{total} nodes are available: {told}."


def _objections(view: ClusterView, pod_class: PodClass) -> list[tuple[str, int]]:
    told: Counter[str] = Counter()
    left = view.alive.copy()
    kept_off = left & _kept_off(view, pod_class.demand)
    told["node(s) were unschedulable"] = int(kept_off.sum())
    left &= ~kept_off
    for number, taints in enumerate(view.taint_sets):
        taint = untolerated(taints, pod_class.demand.tolerations)
        if taint is not None:
            hit = left & (view.taints == number)
            told[f"node(s) had untolerated taint {taint}"] += int(hit.sum())
            left &= ~hit
    unwanted = left & ~_wanted(view, pod_class.demand)
    told["node(s) didn't match Pod's node affinity/selector"] = int(unwanted.sum())
    left &= ~unwanted
    busy = left & view.ports_taken(pod_class.ports)
    told["node(s) didn't have free ports for the requested pod ports"] = int(busy.sum())
    left &= ~busy
    told.update(_shortages(view, pod_class, left))
    return list(told.items())


def _shortages(view: ClusterView, pod_class: PodClass, left: Mask) -> dict[str, int]:
    free = view.allocatable - view.used
    short = {"Too many pods": int((left & (free[PODS] < 1)).sum())}
    for name, value in pod_class.requests.items():
        column = view.resources.get(name)
        lacking = left if column is None else left & (free[column] < value)
        short[f"Insufficient {name}"] = int(lacking.sum())
    return short
