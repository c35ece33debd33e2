"""Saying on a pod why it is taken away, before it is (KEP-3329): Jobs can leave such failures out of
account. Pure."""

from __future__ import annotations

from longshore.base.clock import rfc3339
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Update
from longshore.machinery.controllers.common import pods as pod_state
from longshore.machinery.controllers.common.conditions import with_condition


def disrupted(pod: Doc, reason: str, message: str, now: float) -> Update:
    """The pod with the condition DisruptionTarget; Conflict if it has changed meanwhile."""
    target = {
        "type": "DisruptionTarget", "status": "True", "reason": reason, "message": message,
        "lastTransitionTime": rfc3339(now),
    }  # fmt: skip
    status = pod.get("status") or {}
    conditions = with_condition(status.get("conditions") or (), target)
    return Update(kinds.POD, {**pod, "status": {**status, "conditions": conditions}}, "status")


def lost(pod: Doc, now: float) -> Update:
    """A pod that no agent will ever end has failed (pkg/controller/podgc/gc_controller.go)."""
    marked = pod
    if pod_state.node_name(pod):
        marked = disrupted(pod, "DeletionByPodGC", "PodGC: node no longer exists", now).doc
    return Update(
        kinds.POD, {**marked, "status": {**marked["status"], "phase": "Failed"}}, "status"
    )
