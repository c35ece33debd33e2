"""Columns of storage: drivers, classes, what is attached where."""

from __future__ import annotations

from typing import Any

from longshore.core.objects import kinds
from longshore.core.objects.columns.form import Calculated
from longshore.core.objects.kinds import Doc
from longshore.core.objects.spans import NONE

_UNSET = "<unset>"


def _csi_driver(doc: Doc) -> list[Any]:
    spec = doc.get("spec") or {}
    tokens = spec.get("tokenRequests")
    audiences = _UNSET if tokens is None else ",".join(t.get("audience", "") for t in tokens)
    return [
        spec.get("attachRequired", True), spec.get("podInfoOnMount", False),
        spec.get("storageCapacity", False), audiences, spec.get("requiresRepublish", False),
        ",".join(spec.get("volumeLifecycleModes") or ()) or NONE,
    ]  # fmt: skip


def _storage_class(doc: Doc) -> list[Any]:
    return [
        doc.get("reclaimPolicy", "Delete"), doc.get("volumeBindingMode", "Immediate"),
        doc.get("allowVolumeExpansion", False),
    ]  # fmt: skip


def _volume_attachment(doc: Doc) -> list[Any]:
    source = (doc.get("spec") or {}).get("source") or {}
    return [source.get("persistentVolumeName", "")]


CALCULATED: dict[str, Calculated] = {
    kinds.CSI_DRIVER.schema: _csi_driver,
    kinds.CSI_NODE.schema: lambda doc: [len((doc.get("spec") or {}).get("drivers") or ())],
    kinds.CSI_STORAGE_CAPACITY.schema: lambda doc: [doc.get("capacity", _UNSET)],
    kinds.STORAGE_CLASS.schema: _storage_class,
    kinds.VOLUME_ATTACHMENT.schema: _volume_attachment,
}
