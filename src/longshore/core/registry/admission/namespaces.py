"""NamespaceLifecycle: nothing is made in a namespace that is not there or ends
(apiserver/pkg/admission/plugin/namespace/lifecycle)."""

from __future__ import annotations

from longshore.core.objects import kinds
from longshore.core.objects.errors import Cause, NotFound
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.admission.attributes import Attributes, Hook, Hooks
from longshore.core.watch.cache import Cache

# These are always there, whatever a client deletes (upstream's system namespaces).
SYSTEM_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
TENANT_LABEL = "longshore.io/tenant"
"""On the namespace of a tenant, with the tenant's name."""


def _lives(request: Attributes) -> None:
    namespace = request.namespace
    if not namespace:
        return
    found = request.cache.get(kinds.NAMESPACE, "", namespace)
    if found is None:
        raise NotFound.of(kinds.NAMESPACE, namespace)
    if "deletionTimestamp" not in found["metadata"]:
        request.home = found
        return
    why = f"unable to create new content in namespace {namespace} because it is being terminated"
    said = f"namespace {namespace} is being terminated"
    raise request.forbidden(why, Cause("NamespaceTerminating", said, "metadata.namespace"))


def check_alive(cache: Cache, kind: Kind, doc: Doc) -> None:
    """Raises NotFound or Forbidden if the namespace of a new object is not there, or ends."""
    namespace = doc["metadata"].get("namespace", "")
    _lives(Attributes("create", kind, namespace, doc, None, None, cache))


def _may_be_deleted(request: Attributes) -> None:
    if request.name in SYSTEM_NAMESPACES:
        raise request.forbidden("this namespace may not be deleted")


HOOKS = Hooks(
    changes=(
        Hook(_lives, (), looks_up=(kinds.NAMESPACE,)),
        Hook(_may_be_deleted, (kinds.NAMESPACE,), ("delete",)),
    ),
)
