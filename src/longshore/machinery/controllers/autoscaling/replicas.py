"""How many replicas a metric asks for. Pure.

Source of the rules: pkg/controller/podautoscaler/replica_calculator.go and metrics/utilization.go.
Amounts are whole thousandths throughout, as upstream calculates: 250 is a quarter of a core.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from longshore.machinery.controllers.autoscaling.pods import NONE_SELECTED, Groups, Uncomputable

REPLICAS_MAX = 2**31 - 1
USUAL_TOLERANCE = 0.1
"""kube-controller-manager's --horizontal-pod-autoscaler-tolerance."""


@dataclass(frozen=True, slots=True)
class Tolerances:
    """How far the ratio of use to target may be off before anything is done, down and up (KEP-4951)."""

    down: float = USUAL_TOLERANCE
    up: float = USUAL_TOLERANCE

    def include(self, ratio: float) -> bool:
        return 1.0 - self.down <= ratio <= 1.0 + self.up


@dataclass(frozen=True, slots=True)
class Asked:
    """replicas: how many a metric asks for; use: what it was, in thousandths, of one pod or of all as
    the target is; percent: the use in hundredths of what is requested, where that is the target."""

    replicas: int
    use: int
    percent: int | None = None


def by_utilization(
    current: int,
    target_percent: int,
    values: Mapping[str, int],
    groups: Groups,
    requests: Mapping[str, int],
    tolerances: Tolerances,
) -> Asked:
    """A target in hundredths of what pods request. values are what the pods of groups.ready use; requests
    those of all pods. Raises Uncomputable."""
    percent, average = _utilization(values, requests)

    def ratio(uses: Mapping[str, int]) -> float:
        return _utilization(uses, requests)[0] / target_percent

    def at_most(name: str) -> int:
        return requests[name] * max(100, target_percent) // 100

    replicas = _asked(current, values, groups, ratio, at_most, tolerances)
    return Asked(replicas, average, percent)


def _utilization(uses: Mapping[str, int], requests: Mapping[str, int]) -> tuple[int, int]:
    """In hundredths of the requests of the same pods, and the mean use."""
    known = [name for name in uses if name in requests]
    requested, used = sum(requests[name] for name in known), sum(uses[name] for name in known)
    if not requested:
        raise Uncomputable("no metrics returned matched known pods")
    return used * 100 // requested, used // len(known)


def by_average(
    current: int, target: int, values: Mapping[str, int], groups: Groups, tolerances: Tolerances
) -> Asked:
    """A target for the mean use of a pod. values are what the pods of groups.ready use."""

    def ratio(uses: Mapping[str, int]) -> float:
        return (sum(uses.values()) // len(uses)) / target

    replicas = _asked(current, values, groups, ratio, lambda _: target, tolerances)
    return Asked(replicas, sum(values.values()) // len(values))


def _asked(
    current: int,
    values: Mapping[str, int],
    groups: Groups,
    ratio_of: Callable[[Mapping[str, int]], float],
    at_most: Callable[[str], int],
    tolerances: Tolerances,
) -> int:
    """Pods of which nothing is known count against a change: in full on the way down, as idle on the
    way up, where those that are not ready do too."""
    ratio = ratio_of(values)
    unready = groups.unready if ratio > 1.0 else frozenset()
    if not unready and not groups.missing:
        return current if tolerances.include(ratio) else _ceil(ratio * groups.ready)
    all_values = {**values, **dict.fromkeys(unready, 0)}
    if ratio != 1.0:
        all_values |= {name: at_most(name) if ratio < 1.0 else 0 for name in groups.missing}
    again = ratio_of(all_values)
    if tolerances.include(again) or _turns(ratio - 1.0, again - 1.0):
        return current
    replicas = _ceil(again * len(all_values))
    return current if _turns(again - 1.0, replicas - current) else replicas


def _turns(one: float, other: float) -> bool:
    """Whether they point in opposite directions."""
    return one < 0 < other or other < 0 < one


def by_value(
    current: int, target: int, use: int, pods: int, ready: int, tolerances: Tolerances
) -> Asked:
    """A target for the whole of a metric; pods are how many there are, ready those that run and are
    Ready. Raises Uncomputable."""
    ratio = use / target
    if current == 0:
        return Asked(_ceil(ratio), use)
    if tolerances.include(ratio):
        return Asked(current, use)
    if not pods:
        raise Uncomputable(f"unable to calculate ready pods: {NONE_SELECTED}")
    return Asked(_ceil(ratio * ready), use)


def by_share(running: int, target: int, use: int, tolerances: Tolerances) -> Asked:
    """A target for a pod's share of the whole of a metric, of running pods (the scale's status)."""
    if not running:
        return Asked(_ceil(use / target), use)
    within = tolerances.include(use / (target * running))
    return Asked(running if within else _ceil(use / target), -(-use // running))


def _ceil(replicas: float) -> int:
    return min(math.ceil(replicas), REPLICAS_MAX)
