"""Pods that were told they would be disrupted, and then were not. Pure."""

from __future__ import annotations

from longshore.base.clock import parse_rfc3339
from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.common import owners, pods
from longshore.machinery.controllers.common.conditions import without

TARGET = "DisruptionTarget"
# Who was not deleted within this time of being told will not be (disruption.go).
STALE_AFTER_S = 120.0
_BY_KUBELET = "TerminationByKubelet"


def stale_in_s(pod: Doc, now: float) -> float | None:
    """Seconds until the pod's DisruptionTarget condition is stale (0: it is); None if it will not
    be. What the kubelet says may take as long as it wants."""
    if owners.is_deleting(pod) or pods.is_terminal(pod):
        return None
    target = pods.condition(pod, TARGET)
    if target is None or target["status"] != "True" or target.get("reason") == _BY_KUBELET:
        return None
    since = target.get("lastTransitionTime")
    return max(0.0, parse_rfc3339(since) + STALE_AFTER_S - now) if since else 0.0


def withdrawn(pod: Doc, stamp: str) -> Doc:
    """The pod with its DisruptionTarget condition taken back; shares the rest."""
    status = pod["status"]
    target = {"type": TARGET, "status": "False", "lastTransitionTime": stamp}
    conditions = [*without(status["conditions"], TARGET), target]
    return {**pod, "status": {**status, "conditions": conditions}}
