"""Columns of volumes, claims and quotas, and of the old statuses of components."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from longshore.core.objects import kinds
from longshore.core.objects.columns.form import Calculated
from longshore.core.objects.kinds import Doc

_UNSET = "<unset>"
_SHORT_MODES = {
    "ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP",
}  # fmt: skip
_CLASS = "volume.beta.kubernetes.io/storage-class"


def _claim(doc: Doc) -> list[Any]:
    spec, status = doc.get("spec") or {}, doc.get("status") or {}
    bound = spec.get("volumeName", "")
    capacity = (status.get("capacity") or {}).get("storage", "") if bound else ""
    return [
        _phase(doc, status), bound, capacity,
        _modes(status.get("accessModes") or ()) if bound else "",
        _class(doc, spec), spec.get("volumeAttributesClassName") or _UNSET,
        spec.get("volumeMode", _UNSET),
    ]  # fmt: skip


def _volume(doc: Doc) -> list[Any]:
    spec, status = doc.get("spec") or {}, doc.get("status") or {}
    claim = spec.get("claimRef")
    return [
        (spec.get("capacity") or {}).get("storage", ""), _modes(spec.get("accessModes") or ()),
        spec.get("persistentVolumeReclaimPolicy", ""), _phase(doc, status),
        f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "",
        _class(doc, spec), spec.get("volumeAttributesClassName") or _UNSET,
        status.get("reason", ""), spec.get("volumeMode", _UNSET),
    ]  # fmt: skip


def _phase(doc: Doc, status: Doc) -> str:
    return "Terminating" if "deletionTimestamp" in doc["metadata"] else status.get("phase", "")


def _class(doc: Doc, spec: Doc) -> str:
    annotations = doc["metadata"].get("annotations") or {}
    name: str = annotations.get(_CLASS) or spec.get("storageClassName") or ""
    return name


def _modes(modes: Iterable[str]) -> str:
    """In a fixed order, each once."""
    given = set(modes)
    return ",".join(short for mode, short in _SHORT_MODES.items() if mode in given)


def _quota(doc: Doc) -> list[Any]:
    """What is asked for, and what is at most used: "pods: 3/10"."""
    status = doc.get("status") or {}
    hard, used = status.get("hard") or {}, status.get("used") or {}
    sides: tuple[list[str], list[str]] = ([], [])
    for name in sorted(hard):
        sides[name.startswith("limits.")].append(f"{name}: {used.get(name, '0')}/{hard[name]}")
    return [", ".join(side) for side in sides]


def _component(doc: Doc) -> list[Any]:
    words = {"True": "Healthy", "False": "Unhealthy"}
    for condition in doc.get("conditions") or ():
        if condition.get("type") == "Healthy":
            status = words.get(condition.get("status", ""), "Unknown")
            return [status, condition.get("message", ""), condition.get("error", "")]
    return ["Unknown", "", ""]


CALCULATED: dict[str, Calculated] = {
    kinds.PVC.schema: _claim,
    kinds.PV.schema: _volume,
    kinds.RESOURCE_QUOTA.schema: _quota,
    kinds.COMPONENT_STATUS.schema: _component,
}
