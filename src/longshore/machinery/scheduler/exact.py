"""Placing pods of a class one after the other, each as if it were alone."""

from __future__ import annotations

import numpy as np

from longshore.machinery.scheduler.candidates import SPREAD_WEIGHT, Nodes, fill_score, spread_score
from longshore.machinery.scheduler.pods.podclass import PodClass


def few(nodes: Nodes, pod_class: PodClass, count: int) -> list[int]:
    """One after the other: after each, only the chosen node and the spread are scored anew."""
    fixed = fill_score(nodes, pod_class, 1.0) + nodes.wish
    group, room = nodes.group.copy(), nodes.room.copy()
    zone_counts = np.bincount(nodes.zones, weights=group).astype(np.int64)
    placed = np.zeros(len(room))
    chosen: list[int] = []
    # Where no pod of the group is yet, the first has nothing to keep away from.
    spread = bool(pod_class.group) and (count > 1 or bool(group.any()))
    for _ in range(count):
        total = fixed
        if spread:
            total = fixed + SPREAD_WEIGHT * spread_score(group, zone_counts, nodes.zones)
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


def _one(nodes: Nodes, at: int, pod_class: PodClass, more: float) -> float:
    """fill_score and wish of a single node."""
    cpu, memory = (
        min((nodes.scored[i, at] + pod_class.scored[i] * more) / nodes.allocatable[i, at], 1.0)
        for i in (0, 1)
    )
    return float(200.0 - 50.0 * (cpu + memory) - 50.0 * abs(cpu - memory) + nodes.wish[at])
