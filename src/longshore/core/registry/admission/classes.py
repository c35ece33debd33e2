"""DefaultStorageClass and DefaultIngressClass: the class of what names none
(plugin/pkg/admission/storage/storageclass/setdefault, .../network/defaultingressclass)."""

from __future__ import annotations

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Kind
from longshore.core.registry.admission.attributes import Attributes, Hook, Hooks
from longshore.core.watch.cache import Cache

_STORAGE_OF_OLD = "volume.beta.kubernetes.io/storage-class"
_INGRESS_OF_OLD = "kubernetes.io/ingress.class"


def _storage(request: Attributes) -> None:
    spec = request.doc["spec"]
    if "storageClassName" in spec or _has(request, _STORAGE_OF_OLD):
        return
    name = default_class(request.cache, kinds.STORAGE_CLASS)
    if name:
        spec["storageClassName"] = name


def _ingress(request: Attributes) -> None:
    spec = request.doc.setdefault("spec", {})
    if "ingressClassName" in spec or _has(request, _INGRESS_OF_OLD):
        return
    name = default_class(request.cache, kinds.INGRESS_CLASS)
    if name:
        spec["ingressClassName"] = name


def _has(request: Attributes, annotation: str) -> bool:
    return annotation in (request.doc["metadata"].get("annotations") or {})


def default_class(cache: Cache, kind: Kind) -> str:
    """The newest of those that are marked, by name if they are of one second; "" if none is."""
    marked = cache.indexed(kind, "default", "")
    ordered = sorted(marked, key=lambda doc: doc["metadata"]["name"])
    # Sorting keeps the order of equals, and RFC 3339 in UTC sorts as text.
    ordered.sort(key=lambda doc: doc["metadata"]["creationTimestamp"], reverse=True)
    return ordered[0]["metadata"]["name"] if ordered else ""


STORAGE_CLASS = Hooks(changes=(Hook(_storage, (kinds.PVC,)),))
INGRESS_CLASS = Hooks(changes=(Hook(_ingress, (kinds.INGRESS,)),))
