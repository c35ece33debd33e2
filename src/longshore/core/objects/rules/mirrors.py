"""Rules for mirror pods, which show what a node runs by itself: which pods are such is for good
(pkg/apis/core/validation: ValidatePodSpecificAnnotations, ValidatePodSpecificAnnotationUpdates)."""

from __future__ import annotations

from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules.problems import METADATA, Problems

_MIRROR = "kubernetes.io/config.mirror"
_AT = ((METADATA, "annotations"), f"[{_MIRROR}]")


def mirror(doc: Doc, problems: Problems) -> None:
    """A new pod with annotations."""
    shown = doc["metadata"]["annotations"].get(_MIRROR)
    if shown is not None and not doc["spec"].get("nodeName"):
        problems.invalid(_AT, shown, "must set spec.nodeName if mirror pod annotation is set")


def mirror_update(new: Doc, old: Doc, problems: Problems) -> None:
    """metadata of a changed pod, through whichever subresource."""
    after, before = ((one.get("annotations") or {}).get(_MIRROR) for one in (new, old))
    if after == before:
        return
    change = "add" if before is None else "remove or update"
    problems.forbidden(_AT, f"may not {change} mirror pod annotation")
