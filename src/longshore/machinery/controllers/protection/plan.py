"""Whether an object that is to go is still used. Pure; rules: pkg/controller/volume/{pvcprotection,
pvprotection,vacprotection}."""

from __future__ import annotations

from collections.abc import Iterable

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind

FINALIZERS: dict[Kind, str] = {
    kinds.PVC: "kubernetes.io/pvc-protection",
    kinds.PV: "kubernetes.io/pv-protection",
    kinds.VOLUME_ATTRIBUTES_CLASS: "kubernetes.io/vac-protection",
}


def waits(kind: Kind, doc: Doc) -> bool:
    """Whether the object is to go and bears our finalizer."""
    metadata = doc["metadata"]
    return "deletionTimestamp" in metadata and FINALIZERS[kind] in (
        metadata.get("finalizers") or ()
    )


def is_used(kind: Kind, doc: Doc, users: Iterable[Doc]) -> bool:
    """users: the pods that name a claim; the claims and volumes that name a class."""
    if kind is kinds.PV:
        return bool((doc.get("status") or {}).get("phase") == "Bound")
    if kind is kinds.PVC:
        # An agent does not start a pod whose claim is on its way out.
        return any(pod["spec"].get("nodeName") for pod in users)
    return any(True for _ in users)


def released(kind: Kind, doc: Doc) -> Doc:
    """The object without our finalizer."""
    metadata = doc["metadata"]
    kept = [one for one in metadata["finalizers"] if one != FINALIZERS[kind]]
    return {**doc, "metadata": {**metadata, "finalizers": kept}}
