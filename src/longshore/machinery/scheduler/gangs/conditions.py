"""What the scheduler says of a PodGroup in its status. Pure.

Source: k8s.io/api/scheduling/v1beta1 (PodGroupInitiallyScheduled): once true, it stays so.
"""

from __future__ import annotations

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Patch
from longshore.machinery.scheduler.turns import GroupNews

_TYPE = "PodGroupInitiallyScheduled"


def group_condition(group: Doc, news: GroupNews, now: str) -> Patch | None:
    """Says whether a group is scheduled; None if it says so already. now is RFC3339."""
    metadata = group["metadata"]
    conditions = (group.get("status") or {}).get("conditions") or []
    before = next((one for one in conditions if one["type"] == _TYPE), None)
    status = "True" if news.is_scheduled else "False"
    message = "" if news.is_scheduled else news.why
    if before is not None and (
        before["status"] == "True" or (before["status"], before["message"]) == (status, message)
    ):
        return None
    same = before is not None and before["status"] == status
    told = {
        "type": _TYPE, "status": status, "message": message,
        "reason": "Scheduled" if news.is_scheduled else "Unschedulable",
        "observedGeneration": metadata.get("generation", 0),
        "lastTransitionTime": before["lastTransitionTime"] if before and same else now,
    }  # fmt: skip
    others = [one for one in conditions if one["type"] != _TYPE]
    patch = {"metadata": {"uid": metadata["uid"]}, "status": {"conditions": [*others, told]}}
    return Patch(kinds.POD_GROUP, metadata["namespace"], metadata["name"], patch, "status")
