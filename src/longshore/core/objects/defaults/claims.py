"""Defaults of volumes that outlive pods, of claims on them, and of limits.

Source: pkg/apis/core/v1/defaults.go.
"""

from __future__ import annotations

from collections.abc import Callable

from longshore.core.objects.defaults.pods import VOLUME_DEFAULTS
from longshore.core.objects.kinds import Doc


def claim(doc: Doc) -> None:
    """A PersistentVolumeClaim, or a template of one."""
    doc.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
    doc.setdefault("status", {}).setdefault("phase", "Pending")


def _volume(doc: Doc) -> None:
    spec = doc.setdefault("spec", {})
    spec.setdefault("persistentVolumeReclaimPolicy", "Retain")
    spec.setdefault("volumeMode", "Filesystem")
    doc.setdefault("status", {}).setdefault("phase", "Pending")
    for name, values in VOLUME_DEFAULTS.items():
        source = spec.get(name)
        if source is not None:
            for key, value in values.items():
                source.setdefault(key, value)


def _limit_range(doc: Doc) -> None:
    for item in doc.get("spec", {}).get("limits", ()):
        if item.get("type") == "Container":
            _limits_of_containers(item)


def _limits_of_containers(item: Doc) -> None:
    """The limit is the most; what is asked for is the limit, or else the least."""
    limits, requests = {**item.get("default", {})}, {**item.get("defaultRequest", {})}
    for source, target in ((item.get("max", {}), limits), (limits, requests)):
        for name, amount in source.items():
            target.setdefault(name, amount)
    for name, amount in item.get("min", {}).items():
        requests.setdefault(name, amount)
    for field, amounts in (("default", limits), ("defaultRequest", requests)):
        if amounts:
            item[field] = amounts


DEFAULTS: dict[str, Callable[[Doc], None]] = {
    "io.k8s.api.core.v1.PersistentVolumeClaim": claim,
    "io.k8s.api.core.v1.PersistentVolume": _volume,
    "io.k8s.api.core.v1.LimitRange": _limit_range,
}
