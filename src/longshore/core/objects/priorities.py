"""The priority classes that every cluster has (pkg/apis/scheduling/v1/helpers.go)."""

from __future__ import annotations

from longshore.core.objects.kinds import PRIORITY_CLASS, Doc

SYSTEM_PREFIX = "system-"
HIGHEST_USER_PRIORITY = 1_000_000_000


def _system(name: str, value: int, description: str) -> Doc:
    return {
        "apiVersion": PRIORITY_CLASS.api_version,
        "kind": PRIORITY_CLASS.name,
        "metadata": {"name": name},
        "value": value,
        "preemptionPolicy": "PreemptLowerPriority",
        "description": description,
    }


SYSTEM_PRIORITIES: dict[str, Doc] = {
    doc["metadata"]["name"]: doc
    for doc in (
        _system(
            "system-node-critical", 2_000_001_000,
            "Used for system critical pods that must not be moved from their current node.",
        ),
        _system(
            "system-cluster-critical", 2_000_000_000,
            "Used for system critical pods that must run in the cluster, but can be moved to another "
            "node if necessary.",
        ),
    )
}  # fmt: skip
"""By name, as priorityclasses.scheduling.k8s.io/v1."""
