"""Decide from a node's readings what it is short of. Pure.

Rules: pkg/kubelet/eviction, synchronize. A condition stays for a while after it was last seen, so that
the node does not waver; what had to be reclaimed stays until the minimum is reclaimed as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from longshore.machinery.kubelet.resources.thresholds import MEMORY, Threshold
from longshore.machinery.kubelet.resources.use import Reading


@dataclass(frozen=True, slots=True)
class Memory:
    """What of earlier looks matters to the next. Times are the monotonic clock's."""

    due: tuple[Threshold, ...] = ()
    first_seen: Mapping[Threshold, float] = field(default_factory=dict)
    condition_seen: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shortage:
    """conditions: of the node, now. due: what something must be done about, the most urgent first."""

    memory: Memory
    conditions: frozenset[str]
    due: tuple[Threshold, ...]


def observe(
    thresholds: Iterable[Threshold],
    readings: Mapping[str, Reading],
    before: Memory,
    now: float,
    transition_s: float,
) -> Shortage:
    """What the node is short of now."""
    fresh = crossed(thresholds, readings)
    lingering = crossed(before.due, readings, reclaiming=True)
    met = tuple(dict.fromkeys((*fresh, *lingering)))
    first_seen = {one: before.first_seen.get(one, now) for one in met}
    seen = {**before.condition_seen, **{one.condition: now for one in met}}
    seen = {name: at for name, at in seen.items() if now - at < transition_s or at == now}
    due = tuple(one for one in met if now - first_seen[one] >= one.grace_s)
    # Memory first: a machine without any is lost at once (byEvictionPriority).
    due = tuple(sorted(due, key=lambda one: one.resource != MEMORY))
    return Shortage(Memory(due, first_seen, seen), frozenset(seen), due)


def crossed(
    thresholds: Iterable[Threshold], readings: Mapping[str, Reading], *, reclaiming: bool = False
) -> tuple[Threshold, ...]:
    """Those of which less is there than must be; reclaiming: with what must be reclaimed besides."""
    return tuple(
        one
        for one in thresholds
        if (read := readings.get(one.signal)) is not None
        and read.available < _least(one, read, reclaiming)
    )


def _least(one: Threshold, read: Reading, reclaiming: bool) -> int:
    extra = one.reclaim.of(read.capacity) if reclaiming else 0
    return one.value.of(read.capacity) + extra
