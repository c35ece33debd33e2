"""Placing many pods of a class at once."""

from __future__ import annotations

import numpy as np

from longshore.machinery.scheduler.candidates import SPREAD_WEIGHT, Nodes, fill_score
from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.view.columns import Amounts, Rows


def many(nodes: Nodes, pod_class: PodClass, count: int) -> Rows:
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


def _best(nodes: Nodes, pod_class: PodClass, at: Rows, count: int) -> Rows:
    """The count best places of some nodes. A node's places form a column: the score of its next
    pod, the one after, and so on, never rising; so the best places of all columns together are
    what one-at-a-time placement would choose, up to how the spread is normalised."""
    if count <= 0:
        return at[:0]
    part = Nodes(
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


def _taken(part: Nodes, pod_class: PodClass, layers: int, count: int) -> Amounts:
    """How many of the count best places within some layers each node has."""
    depth = np.arange(layers, dtype=np.float64)[:, np.newaxis]
    scores = fill_score(part, pod_class, depth + 1.0) + part.wish
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
