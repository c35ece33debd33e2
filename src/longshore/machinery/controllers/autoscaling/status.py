"""What a HorizontalPodAutoscaler says of itself. Pure.

Source: pkg/controller/podautoscaler/horizontal.go (setCondition, setStatus).
"""

from __future__ import annotations

from collections.abc import Sequence

from longshore.base.clock import rfc3339
from longshore.core.objects.kinds import Doc

ABLE, ACTIVE, LIMITED = "AbleToScale", "ScalingActive", "ScalingLimited"


class Conditions:
    """The conditions of a status while they are planned."""

    def __init__(self, there: Sequence[Doc], now: float) -> None:
        self._by_type = {one["type"]: one for one in there}
        self._now = now

    @classmethod
    def of(cls, hpa: Doc, now: float) -> Conditions:
        return cls((hpa.get("status") or {}).get("conditions") or (), now)

    def set(self, type_: str, status: str, reason: str, message: str) -> None:
        """The time of the last transition is kept while the status stays."""
        before = self._by_type.get(type_) or {}
        same = before.get("status") == status and "lastTransitionTime" in before
        since = before["lastTransitionTime"] if same else rfc3339(self._now)
        self._by_type[type_] = {
            "type": type_, "status": status, "lastTransitionTime": since,
            "reason": reason, "message": message,
        }  # fmt: skip

    def docs(self) -> list[Doc]:
        return list(self._by_type.values())


def status_of(
    hpa: Doc, conditions: Conditions, metrics: Sequence[Doc], current: int, desired: int
) -> Doc:
    """The status, but for the time at which it scaled."""
    status: Doc = {"desiredReplicas": desired, "conditions": conditions.docs()}
    if current:
        status["currentReplicas"] = current
    if metrics:
        status["currentMetrics"] = list(metrics)
    last = (hpa.get("status") or {}).get("lastScaleTime")
    return {**status, "lastScaleTime": last} if last else status


def unscalable(hpa: Doc, why: str, now: float) -> Doc:
    """The status where the target's scale cannot be had: all else stays as it was."""
    conditions = Conditions.of(hpa, now)
    text = f"the HPA controller was unable to get the target's current scale: {why}"
    conditions.set(ABLE, "False", "FailedGetScale", text)
    before = hpa.get("status") or {"desiredReplicas": 0}
    return {**before, "conditions": conditions.docs()}
