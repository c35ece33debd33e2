"""Columns of workloads."""

from __future__ import annotations

from typing import Any

from longshore.core.objects import kinds
from longshore.core.objects.columns.form import Calculated, selector_text
from longshore.core.objects.kinds import Doc


def _deployment(doc: Doc, now: float) -> list[Any]:
    spec, status = doc.get("spec") or {}, doc.get("status") or {}
    ready, desired = status.get("readyReplicas", 0), spec.get("replicas", 1)
    return [
        f"{ready}/{desired}", status.get("updatedReplicas", 0), status.get("availableReplicas", 0),
        *_template(spec),
    ]  # fmt: skip


def _replica_set(doc: Doc, now: float) -> list[Any]:
    spec, status = doc.get("spec") or {}, doc.get("status") or {}
    return [
        spec.get("replicas", 1), status.get("replicas", 0), status.get("readyReplicas", 0),
        *_template(spec),
    ]  # fmt: skip


def _template(spec: Doc) -> list[str]:
    """Containers, images and selector of a workload."""
    containers = ((spec.get("template") or {}).get("spec") or {}).get("containers") or ()
    names = ",".join(c.get("name", "") for c in containers)
    images = ",".join(c.get("image", "") for c in containers)
    return [names, images, selector_text(spec.get("selector"))]


CALCULATED: dict[str, Calculated] = {
    kinds.DEPLOYMENT.schema: _deployment,
    kinds.REPLICA_SET.schema: _replica_set,
}
