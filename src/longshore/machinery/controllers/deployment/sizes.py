"""How many pods each ReplicaSet of a Deployment should have now. Pure arithmetic.

Rules: upstream's deploymentutil and pkg/controller/deployment/{rolling,recreate,sync}.go.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.common.shares import scaled
from longshore.machinery.controllers.deployment.revisions import MOST, by_age, notes

Sizes = Mapping[str, int]
"""New sizes by the name of the set; sets that stay are left out."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """want pods, at most `most` of them (with the surge), at least `least` of them available."""

    want: int
    most: int
    least: int


def bounds(deployment: Doc) -> Bounds:
    spec = deployment["spec"]
    want = int(spec.get("replicas", 1))
    if strategy(deployment) != "RollingUpdate" or want == 0:
        return Bounds(want, want, want)
    rolling = (spec.get("strategy") or {}).get("rollingUpdate") or {}
    surge = scaled(rolling.get("maxSurge", "25%"), want, up=True)
    missing = scaled(rolling.get("maxUnavailable", "25%"), want, up=False)
    if surge == 0 and missing == 0:
        # Percentages that both round to nothing must not stop the rollout for good.
        missing = 1
    return Bounds(want, want + surge, want - min(missing, want))


def strategy(deployment: Doc) -> str:
    return str((deployment["spec"].get("strategy") or {}).get("type") or "RollingUpdate")


def size(replica_set: Doc) -> int:
    return int(replica_set["spec"].get("replicas", 1))


def available(replica_set: Doc) -> int:
    return int((replica_set.get("status") or {}).get("availableReplicas", 0))


def staying(replica_set: Doc) -> int:
    """Available pods that are not about to go: a set that has just been made smaller still tells of
    more than it will have."""
    return min(size(replica_set), available(replica_set))


def total(sets: Sequence[Doc]) -> int:
    return sum(size(rs) for rs in sets)


def size_of_new(within: Bounds, sets: Sequence[Doc], now: int) -> int:
    """How large the current set, now of a size, may be while the others still stand. sets are all,
    the current one included."""
    if now >= within.want:
        return within.want
    return now + max(0, min(within.most - total(sets), within.want - now))


def shrink_old(within: Bounds, new: Doc, old: Sequence[Doc]) -> Sizes:
    """A rolling update's next step for the old sets: those pods first that are not available
    anyway, then as many as can be spared."""
    new_missing = size(new) - staying(new)
    spare = total(old) + size(new) - within.least - new_missing
    if total(old) == 0 or spare <= 0:
        return {}
    sizes = {rs["metadata"]["name"]: size(rs) for rs in old}
    for rs in by_age(old):
        cut = min(spare, size(rs) - staying(rs))
        sizes[rs["metadata"]["name"]] -= cut
        spare -= cut
    spare = sum(staying(rs) for rs in [*old, new]) - within.least
    for rs in by_age(old):
        cut = max(0, min(spare, sizes[rs["metadata"]["name"]]))
        sizes[rs["metadata"]["name"]] -= cut
        spare -= cut
    return changed(old, sizes)


def scale(within: Bounds, new: Doc | None, old: Sequence[Doc], deployment: Doc) -> Sizes:
    """What a changed spec.replicas asks for, while no rollout step is taken."""
    sole = _sole(new, old)
    if sole is not None:
        return changed([sole], {sole["metadata"]["name"]: within.want})
    if new is not None and _saturated(new, within.want):
        return changed(old, {rs["metadata"]["name"]: 0 for rs in old})
    if strategy(deployment) != "RollingUpdate":
        return {}
    return _in_proportion(within, _active(new, old), deployment)


def _active(new: Doc | None, old: Sequence[Doc]) -> list[Doc]:
    return [rs for rs in [*old, *([new] if new is not None else [])] if size(rs) > 0]


def _sole(new: Doc | None, old: Sequence[Doc]) -> Doc | None:
    """The one set that has pods, or the latest of all if none has."""
    active = _active(new, old)
    if len(active) == 1:
        return active[0]
    if active:
        return None
    if new is not None:
        return new
    return by_age(old)[-1] if old else None


def _saturated(replica_set: Doc, want: int) -> bool:
    return size(replica_set) == available(replica_set) == want and want > 0


def _in_proportion(within: Bounds, sets: Sequence[Doc], deployment: Doc) -> Sizes:
    """Share the difference among sets by their sizes: the larger first, and among equals the newer
    when growing, the older when shrinking. The first takes what rounding leaves."""
    allowed = within.most if within.want > 0 else 0
    left = allowed - total(sets)
    if left == 0:
        return {}
    ages = [rs["metadata"]["name"] for rs in by_age(sets)]
    sign = -1 if left > 0 else 1
    order = sorted(sets, key=lambda rs: (-size(rs), sign * ages.index(rs["metadata"]["name"])))
    sizes = {rs["metadata"]["name"]: size(rs) for rs in order}
    for rs in order:
        share = _share(rs, within, deployment)
        share = min(share, left) if left > 0 else max(share, left)
        sizes[rs["metadata"]["name"]] += share
        left -= share
    for rs in order:
        name = rs["metadata"]["name"]
        rest = max(left, -sizes[name])
        sizes[name] += rest
        left -= rest
    return changed(order, sizes)


def _share(replica_set: Doc, within: Bounds, deployment: Doc) -> int:
    if within.want == 0:
        return -size(replica_set)
    text = notes(replica_set).get(MOST, "")
    before = int(text) if text.isdigit() else 0
    before = before or int((deployment.get("status") or {}).get("replicas", 0))
    if before == 0:
        return 0
    # Half away from zero, as Go's integer.RoundToInt32 does.
    return math.floor(size(replica_set) * within.most / before + 0.5) - size(replica_set)


def changed(sets: Sequence[Doc], sizes: Sizes) -> Sizes:
    return {
        rs["metadata"]["name"]: sizes[rs["metadata"]["name"]]
        for rs in sets
        if rs["metadata"]["name"] in sizes and sizes[rs["metadata"]["name"]] != size(rs)
    }
