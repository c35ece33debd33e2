"""Conditions in a status: set, replaced and removed without touching the shared document."""

from __future__ import annotations

from collections.abc import Sequence

from longshore.core.objects.kinds import Doc


def find(conditions: Sequence[Doc], type_: str) -> Doc | None:
    return next((one for one in conditions if one["type"] == type_), None)


def without(conditions: Sequence[Doc], type_: str) -> list[Doc]:
    return [one for one in conditions if one["type"] != type_]


def with_condition(conditions: Sequence[Doc], new: Doc) -> list[Doc]:
    """Set a condition. Nothing changes while its status and reason stay; the time of its last
    transition is kept while its status stays (deploymentutil.SetDeploymentCondition)."""
    before = find(conditions, new["type"])
    if before is None:
        return [*conditions, new]
    if before["status"] == new["status"] and before.get("reason") == new.get("reason"):
        return list(conditions)
    if before["status"] == new["status"] and "lastTransitionTime" in before:
        new = {**new, "lastTransitionTime": before["lastTransitionTime"]}
    return [*without(conditions, new["type"]), new]
