"""What the scheduler says of pods in their status. Pure."""

from __future__ import annotations

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Patch
from longshore.machinery.scheduler.preemption.making import Victim
from longshore.machinery.scheduler.turns import Refusal

_SCHEDULED, _TARGET = "PodScheduled", "DisruptionTarget"


def unschedulable(pod: Doc, refusal: Refusal, now: str) -> Patch | None:
    """Says why no node takes a pod, and which is kept for it; None if it says so already."""
    before = _find(pod, _SCHEDULED)
    told_before = before["status"] == "False" if before else False
    status: Doc = {}
    nominated = refusal.nominated
    if nominated is not None and nominated != (_status(pod).get("nominatedNodeName") or ""):
        status["nominatedNodeName"] = nominated or None
    if not (before and told_before and before.get("message") == refusal.message):
        told = {
            "type": _SCHEDULED, "status": "False", "reason": "Unschedulable",
            "message": refusal.message,
            "lastTransitionTime": before["lastTransitionTime"] if before and told_before else now,
        }  # fmt: skip
        status["conditions"] = _with(pod, told)
    return _patch(pod, status) if status else None


def disrupted(pod: Doc, victim: Victim, now: str) -> Patch:
    """Says why a pod has to go (KEP-3329)."""
    by = victim.preemptor.profile
    target = {
        "type": _TARGET, "status": "True", "reason": "PreemptionByScheduler",
        "message": f"{by}: preempting to accommodate a higher priority pod",
        "lastTransitionTime": now,
    }  # fmt: skip
    return _patch(pod, {"conditions": _with(pod, target)})


def without_node(pod: Doc) -> Patch:
    """Says that no node is kept for a pod any more."""
    return _patch(pod, {"nominatedNodeName": None})


def _status(pod: Doc) -> Doc:
    return pod.get("status") or {}


def _find(pod: Doc, type_: str) -> Doc | None:
    conditions: list[Doc] = _status(pod).get("conditions") or []
    return next((one for one in conditions if one["type"] == type_), None)


def _with(pod: Doc, condition: Doc) -> list[Doc]:
    conditions = _status(pod).get("conditions") or ()
    return [*(one for one in conditions if one["type"] != condition["type"]), condition]


def _patch(pod: Doc, status: Doc) -> Patch:
    metadata = pod["metadata"]
    patch = {"metadata": {"uid": metadata["uid"]}, "status": status}
    return Patch(kinds.POD, metadata["namespace"], metadata["name"], patch, "status")
