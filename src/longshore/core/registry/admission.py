"""What the platform adds to and demands of an object before it is validated and stored."""

from __future__ import annotations

from longshore.core.objects import kinds
from longshore.core.objects.errors import Cause, Forbidden, NotFound
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.meta import admit_pod
from longshore.core.watch.cache import Cache

# These are always there, whatever a client deletes (upstream's system namespaces).
SYSTEM_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


def check_namespace(cache: Cache, kind: Kind, doc: Doc) -> None:
    """An object may only be created in a namespace that lives. Raises NotFound or Forbidden."""
    if not kind.namespaced:
        return
    namespace = doc["metadata"]["namespace"]
    found = cache.get(kinds.NAMESPACE, "", namespace)
    if found is None:
        raise NotFound.of(kinds.NAMESPACE, namespace)
    if "deletionTimestamp" in found["metadata"]:
        name = doc["metadata"].get("name", "")
        why = (
            f"unable to create new content in namespace {namespace} because it is being terminated"
        )
        cause = Cause(
            "NamespaceTerminating",
            f"namespace {namespace} is being terminated",
            "metadata.namespace",
        )
        raise Forbidden(
            f'{kind.resource} "{name}" is forbidden: {why}', kind=kind, name=name, causes=[cause]
        )


def check_deletable(kind: Kind, name: str) -> None:
    """Raises Forbidden for what the cluster cannot be without."""
    if kind is kinds.NAMESPACE and name in SYSTEM_NAMESPACES:
        raise Forbidden(
            f'namespaces "{name}" is forbidden: this namespace may not be deleted',
            kind=kind,
            name=name,
        )


def admit_new(kind: Kind, doc: Doc) -> None:
    """Complete a new object in place, as upstream's default admission plugins do."""
    if kind is kinds.POD:
        admit_pod(doc)
