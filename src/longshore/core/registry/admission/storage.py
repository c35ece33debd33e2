"""StorageObjectInUseProtection: volumes and claims outlive their users
(plugin/pkg/admission/storage/storageobjectinuseprotection). The finalizers are taken off by the
controllers of the same purpose."""

from __future__ import annotations

from longshore.core.objects import kinds
from longshore.core.registry.admission.attributes import Attributes, Hook, Hooks

FINALIZERS = {
    kinds.PV: "kubernetes.io/pv-protection",
    kinds.PVC: "kubernetes.io/pvc-protection",
    kinds.VOLUME_ATTRIBUTES_CLASS: "kubernetes.io/vac-protection",
}


def _protect(request: Attributes) -> None:
    metadata, finalizer = request.doc["metadata"], FINALIZERS[request.kind]
    given = metadata.get("finalizers") or []
    if finalizer not in given:
        metadata["finalizers"] = [*given, finalizer]


HOOKS = Hooks(changes=(Hook(_protect, tuple(FINALIZERS)),))
