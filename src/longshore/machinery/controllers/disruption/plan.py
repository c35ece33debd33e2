"""What the status of a PodDisruptionBudget should be. Pure.

Rules: pkg/controller/disruption/disruption.go and component-helpers/apps/poddisruptionbudget of
Kubernetes; kubernetes.io/docs/tasks/run-application/configure-pdb.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from longshore.base.clock import parse_rfc3339
from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.common.conditions import find, without
from longshore.machinery.controllers.common.shares import scaled
from longshore.machinery.controllers.disruption.members import Members, Owner

# An eviction that was granted must have begun to delete its pod by then, or it counts no more.
DELETION_TIMEOUT_S = 120.0
ALLOWED = "DisruptionAllowed"


class Uncountable(Exception):
    """Why it cannot be known how many pods there should be, as the budget's condition says it."""


ScaleOf = Callable[[Owner], tuple[str, int] | None]
"""The uid of what scales a controller's pods, and how many there should be; None if it is gone.
Raises Uncountable."""


@dataclass(frozen=True, slots=True)
class Plan:
    """status: the whole status. recheck_after_s: when a granted eviction runs out. overdue: names
    of pods whose eviction was granted and did not come. unmanaged: pods without a controller were
    left out of the count."""

    status: Doc
    recheck_after_s: float | None
    overdue: tuple[str, ...]
    unmanaged: bool


def plan(budget: Doc, members: Members, scale_of: ScaleOf, now: float, stamp: str) -> Plan:
    """Count anew; now in seconds since the epoch, stamp the same as RFC 3339. Raises Uncountable."""
    by_scale = _counts_by_scale(budget["spec"])
    expected = _scale(members, scale_of) if by_scale else _present(budget, members)
    desired = _desired(budget["spec"], expected)
    status = budget.get("status") or {}
    disrupted, overdue, recheck_s = _disrupted(status, members, now)
    healthy = members.healthy - sum(_is_healthy(members, name) for name in disrupted)
    counted = {
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "expectedPods": expected,
        "disruptionsAllowed": max(0, healthy - desired) if expected > 0 else 0,
        "observedGeneration": budget["metadata"].get("generation", 0),
    }
    if disrupted:
        counted["disruptedPods"] = disrupted
    reason = "SufficientPods" if counted["disruptionsAllowed"] else "InsufficientPods"
    counted["conditions"] = _conditions(counted, status, reason, "", stamp)
    return Plan(counted, recheck_s, overdue, by_scale and members.unmanaged > 0)


def failed(budget: Doc, why: str, stamp: str) -> Doc:
    """The status of a budget that cannot be counted: nothing may be disrupted (failSafe)."""
    none = {"currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0}
    status = budget.get("status") or {}
    safe = {**none, **status, "disruptionsAllowed": 0}
    return {**safe, "conditions": _conditions(safe, status, "SyncFailed", why, stamp)}


def _counts_by_scale(spec: Doc) -> bool:
    """Whether it matters how many pods there should be, not only how many there are."""
    return "maxUnavailable" in spec or isinstance(spec.get("minAvailable"), str)


def _present(budget: Doc, members: Members) -> int:
    return len(members) if "minAvailable" in budget["spec"] else 0


def _desired(spec: Doc, expected: int) -> int:
    if "maxUnavailable" in spec:
        return max(0, expected - scaled(spec["maxUnavailable"], expected, up=True))
    return scaled(spec.get("minAvailable", 0), expected, up=True)


def _scale(members: Members, scale_of: ScaleOf) -> int:
    scales: dict[str, int] = {}
    for owner in members.owners():
        if owner is None:
            continue
        found = scale_of(owner)
        if found is None:
            raise Uncountable(f'found no controllers for pod "{members.one_of(owner)}"')
        scales[found[0]] = found[1]
    return sum(scales.values())


def _disrupted(
    status: Doc, members: Members, now: float
) -> tuple[dict[str, str], tuple[str, ...], float | None]:
    """Evictions that were granted and are still to come, those that did not come in time, and the
    seconds until the next of them runs out."""
    left: dict[str, str] = {}
    overdue: list[str] = []
    waits: list[float] = []
    for name, since in (status.get("disruptedPods") or {}).items():
        member = members.get(name)
        if member is None or member.deleting:
            continue
        wait = parse_rfc3339(since) + DELETION_TIMEOUT_S - now
        if wait < 0:
            overdue.append(name)
        else:
            left[name] = since
            waits.append(wait)
    # A moment later, so that it has run out by then.
    return left, tuple(overdue), min(waits) + 1.0 if waits else None


def _is_healthy(members: Members, name: str) -> bool:
    member = members.get(name)
    return member is not None and member.healthy


def _conditions(counted: Doc, before: Doc, reason: str, message: str, stamp: str) -> list[Doc]:
    known = before.get("conditions") or []
    old = find(known, ALLOWED) or {}
    value = "True" if counted["disruptionsAllowed"] else "False"
    new = {
        "type": ALLOWED, "status": value, "reason": reason, "message": message,
        "observedGeneration": counted.get("observedGeneration", 0),
        "lastTransitionTime": old["lastTransitionTime"] if old.get("status") == value else stamp,
    }  # fmt: skip
    return [*without(known, ALLOWED), new]
