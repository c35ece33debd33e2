"""How fast one may follow what the metrics ask for: stabilization, policies, limits. Pure.

Source of the rules: pkg/controller/podautoscaler/horizontal.go (normalizeDesiredReplicas and
normalizeDesiredReplicasWithBehaviors), KEP-853.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from longshore.core.objects.kinds import Doc

# kube-controller-manager's --horizontal-pod-autoscaler-downscale-stabilization.
USUAL_WINDOW_S = 300
# Without a behavior: at most double, or 4, whichever is more.
_UP_FACTOR, _UP_LEAST = 2, 4
# What is remembered of one autoscaler. Syncs are seconds apart and windows an hour long at most, so
# this is only for one whose spec is changed all the time.
_REMEMBERED_MAX = 1024


@dataclass(frozen=True, slots=True)
class Stamped:
    """A number of replicas, asked for or added or removed, and when."""

    at: float
    replicas: int


@dataclass(frozen=True, slots=True)
class Memory:
    """What an autoscaler knows of its past: what was asked for, and what it added and removed. Like
    upstream's it is lost when the controller starts anew."""

    asked: tuple[Stamped, ...] = ()
    added: tuple[Stamped, ...] = ()
    removed: tuple[Stamped, ...] = ()

    def scaled(self, behavior: Doc | None, change: Stamped) -> Memory:
        """After a change of so many replicas, which policies go by."""
        if behavior is None or not change.replicas:
            return self
        if change.replicas > 0:
            kept = _since(self.added, change.at - _longest(behavior["scaleUp"]))
            return replace(self, added=(*kept, change)[-_REMEMBERED_MAX:])
        kept = _since(self.removed, change.at - _longest(behavior["scaleDown"]))
        less = Stamped(change.at, -change.replicas)
        return replace(self, removed=(*kept, less)[-_REMEMBERED_MAX:])


def _longest(rules: Doc) -> int:
    return max((one["periodSeconds"] for one in rules.get("policies") or ()), default=0)


def _since(past: Iterable[Stamped], oldest: float) -> list[Stamped]:
    return [one for one in past if one.at >= oldest]


@dataclass(frozen=True, slots=True)
class Pace:
    """replicas: as many as there may be now. stabilized and limited say what is told of it, as reason
    and message; is_limited: whether a limit held it back."""

    replicas: int
    stabilized: tuple[str, str]
    limited: tuple[str, str]
    is_limited: bool
    memory: Memory


@dataclass(frozen=True, slots=True)
class Bounds:
    """The least and the most replicas that the autoscaler's spec allows."""

    least: int
    most: int


_READY = ("ReadyForNewScale", "recommended size matches current size")
_DOWN_LATER = (
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent "
    "recommendation",
)
_UP_LATER = (
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
)
_WITHIN = ("DesiredWithinRange", "the desired count is within the acceptable range")
_TOO_MANY = ("TooManyReplicas", "the desired replica count is more than the maximum replica count")
_TOO_FEW = ("TooFewReplicas", "the desired replica count is less than the minimum replica count")
_TOO_FAST = (
    "ScaleUpLimit",
    "the desired replica count is increasing faster than the maximum scale rate",
)
_TOO_FAST_DOWN = (
    "ScaleDownLimit",
    "the desired replica count is decreasing faster than the maximum scale rate",
)


def paced(
    behavior: Doc | None, bounds: Bounds, current: int, asked: int, memory: Memory, now: float
) -> Pace:
    """How many of the replicas that are asked for there may be now. behavior is that of the spec, with
    its defaults."""
    if behavior is None:
        stable, later = _highest(memory, asked, now), _DOWN_LATER
        replicas, limited = _limited(bounds, current, stable)
        window = USUAL_WINDOW_S
    else:
        up, down = _window(behavior["scaleUp"], 0), _window(behavior["scaleDown"], USUAL_WINDOW_S)
        stable = _stable(memory, current, asked, now - up, now - down)
        later = _UP_LATER if asked >= current else _DOWN_LATER
        replicas, limited = _by_policies(behavior, bounds, current, stable, memory, now)
        window = max(up, down)
    recent = (*_since(memory.asked, now - window), Stamped(now, asked))
    return Pace(
        replicas,
        _READY if stable == asked else later,
        limited,
        replicas != stable,
        replace(memory, asked=recent[-_REMEMBERED_MAX:]),
    )


def _window(rules: Doc, usual: int) -> int:
    return int(rules.get("stabilizationWindowSeconds", usual))


# ---- without a behavior


def _highest(memory: Memory, asked: int, now: float) -> int:
    recent = _since(memory.asked, now - USUAL_WINDOW_S)
    return max(asked, max((one.replicas for one in recent), default=asked))


def _limited(bounds: Bounds, current: int, asked: int) -> tuple[int, tuple[str, str]]:
    fastest = max(_UP_FACTOR * current, _UP_LEAST)
    if asked < bounds.least:
        return bounds.least, _TOO_FEW
    if asked > min(bounds.most, fastest):
        return min(bounds.most, fastest), _TOO_FAST if bounds.most > fastest else _TOO_MANY
    return asked, _WITHIN


# ---- with one


def _stable(memory: Memory, current: int, asked: int, up_since: float, down_since: float) -> int:
    """Up no further than the least that was asked for, and down than the most."""
    lowest = min([asked, *(one.replicas for one in memory.asked if one.at > up_since)])
    highest = max([asked, *(one.replicas for one in memory.asked if one.at > down_since)])
    return min(max(current, lowest), highest)


def _by_policies(
    behavior: Doc, bounds: Bounds, current: int, asked: int, memory: Memory, now: float
) -> tuple[int, tuple[str, str]]:
    if asked > current:
        fastest = max(current, _limit_up(behavior["scaleUp"], current, memory, now))
        if asked > min(bounds.most, fastest):
            return min(bounds.most, fastest), _TOO_FAST if bounds.most > fastest else _TOO_MANY
    elif asked < current:
        fastest = min(current, _limit_down(behavior["scaleDown"], current, memory, now))
        if asked < max(bounds.least, fastest):
            why = _TOO_FAST_DOWN if bounds.least < fastest else _TOO_FEW
            return max(bounds.least, fastest), why
    return asked, _WITHIN


def _limit_up(rules: Doc, current: int, memory: Memory, now: float) -> int:
    """The most replicas that the policies let there be. A percentage is rounded up, or one of few
    replicas would never grow."""
    if rules["selectPolicy"] == "Disabled":
        return current
    proposed: list[int] = []
    for policy in rules["policies"]:
        start, value = _at_start(policy, current, memory, now), policy["value"]
        by_percent = math.ceil(start * (1 + value / 100))
        proposed.append(start + int(value) if policy["type"] == "Pods" else by_percent)
    return min(proposed) if rules["selectPolicy"] == "Min" else max(proposed)


def _limit_down(rules: Doc, current: int, memory: Memory, now: float) -> int:
    """The fewest."""
    if rules["selectPolicy"] == "Disabled":
        return current
    proposed: list[int] = []
    for policy in rules["policies"]:
        start, value = _at_start(policy, current, memory, now), policy["value"]
        by_percent = int(start * (1 - value / 100))
        proposed.append(start - int(value) if policy["type"] == "Pods" else by_percent)
    return max(proposed) if rules["selectPolicy"] == "Min" else min(proposed)


def _at_start(policy: Doc, current: int, memory: Memory, now: float) -> int:
    """The replicas when the policy's period began."""
    since = now - int(policy["periodSeconds"])
    added = sum(one.replicas for one in memory.added if one.at > since)
    removed = sum(one.replicas for one in memory.removed if one.at > since)
    return current - added + removed
