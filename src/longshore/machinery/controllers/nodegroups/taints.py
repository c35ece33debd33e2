"""The two taints that say what becomes of a node (cluster-autoscaler/utils/taints). Pure."""

from __future__ import annotations

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Patch

TO_BE_DELETED = "ToBeDeletedByClusterAutoscaler"
CANDIDATE = "DeletionCandidateOfClusterAutoscaler"
_EFFECTS = {TO_BE_DELETED: "NoSchedule", CANDIDATE: "PreferNoSchedule"}


def has(node: Doc, key: str) -> bool:
    return any(one["key"] == key for one in node["spec"].get("taints") or ())


def with_taint(node: Doc, key: str, now: float) -> Patch | None:
    """Set a taint, with the time in seconds as its value; None if it is there. Conflict if the node
    has changed."""
    if has(node, key):
        return None
    one = {"key": key, "value": str(int(now)), "effect": _EFFECTS[key]}
    return _patch(node, [*(node["spec"].get("taints") or ()), one])


def without_taints(node: Doc, *keys: str) -> Patch | None:
    """Take taints off; None if there are none of these. Conflict if the node has changed."""
    there = node["spec"].get("taints") or []
    left = [one for one in there if one["key"] not in keys]
    return _patch(node, left) if len(left) < len(there) else None


def _patch(node: Doc, taints: list[Doc]) -> Patch:
    metadata = node["metadata"]
    guard = {"resourceVersion": metadata["resourceVersion"], "uid": metadata["uid"]}
    patch = {"metadata": guard, "spec": {"taints": taints or None}}
    return Patch(kinds.NODE, "", metadata["name"], patch)
