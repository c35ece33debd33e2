"""PersistentVolumeClaimResize: only what can grow is asked to
(plugin/pkg/admission/storage/persistentvolume/resize)."""

from __future__ import annotations

from fractions import Fraction

from longshore.base import quantities
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.admission.attributes import Attributes, Hook, Hooks

_NOT_BOUND = "Only bound persistent volume claims can be expanded"
_FIXED = (
    "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc "
    "must support resize"
)


def _resize(request: Attributes) -> None:
    old = request.old
    assert old is not None
    if _size(request.doc) <= _size(old):
        return
    if (old.get("status") or {}).get("phase") != "Bound":
        raise request.forbidden(_NOT_BOUND)
    name, before = (doc["spec"].get("storageClassName") or "" for doc in (request.doc, old))
    found = request.cache.get(kinds.STORAGE_CLASS, "", name) if name == before else None
    if found is None or not found.get("allowVolumeExpansion"):
        raise request.forbidden(_FIXED)


def _size(claim: Doc) -> Fraction:
    requests = (claim["spec"].get("resources") or {}).get("requests") or {}
    return quantities.parse(requests.get("storage", 0))


HOOKS = Hooks(checks=(Hook(_resize, (kinds.PVC,), ("update",)),))
