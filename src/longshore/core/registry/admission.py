"""What the platform adds to and demands of an object before it is validated and stored."""

from __future__ import annotations

from longshore.base.users import User
from longshore.core.objects import kinds
from longshore.core.objects.errors import Cause, Forbidden, NotFound
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.meta import admit_pod, give_runtime, pod_forbidden
from longshore.core.objects.priorities import SYSTEM_PRIORITIES
from longshore.core.objects.signing import asked_by
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


def check_served(kind: Kind, doc: Doc) -> None:
    """Raises Forbidden for objects that would have no effect, and must not seem to have one. An
    APIService without a service only says that this server itself serves a group."""
    if not kind.unserved:
        return
    if kind is kinds.API_SERVICE and not (doc.get("spec") or {}).get("service"):
        return
    name = (doc.get("metadata") or {}).get("name", "")
    raise Forbidden(f'{kind.resource} "{name}" is forbidden: {kind.unserved}', kind=kind, name=name)


def admit_new(cache: Cache, kind: Kind, doc: Doc, who: User | None) -> None:
    """Complete a new object in place, as upstream's default admission plugins do. who asks for
    it (None: somebody inside the server). Raises Forbidden."""
    if kind is kinds.POD:
        _admit_pod(cache, doc)
    elif kind is kinds.CSR:
        asked_by(doc, who)
    elif kind is kinds.PRIORITY_CLASS:
        _check_single_default(cache, doc)


def _admit_pod(cache: Cache, doc: Doc) -> None:
    spec = doc["spec"]
    if "runtimeClassName" in spec or "overhead" in spec:
        give_runtime(doc, _runtime_class(cache, doc, spec.get("runtimeClassName", "")))
    name = spec.get("priorityClassName", "")
    admit_pod(doc, _priority_class(cache, doc, name) if name else _default_priority(cache))


def _runtime_class(cache: Cache, doc: Doc, name: str) -> Doc | None:
    if not name:
        return None
    found = cache.get(kinds.RUNTIME_CLASS, "", name)
    if found is None:
        raise pod_forbidden(doc, f'pod rejected: RuntimeClass "{name}" not found')
    return found


def _priority_class(cache: Cache, doc: Doc, name: str) -> Doc:
    found = cache.get(kinds.PRIORITY_CLASS, "", name) or SYSTEM_PRIORITIES.get(name)
    if found is None:
        raise pod_forbidden(doc, f"no PriorityClass with name {name} was found")
    return found


def _default_priority(cache: Cache) -> Doc | None:
    """That of pods that name none; the lowest, should there be several."""
    defaults = cache.indexed(kinds.PRIORITY_CLASS, "default", "")
    return min(defaults, key=lambda doc: int(doc.get("value", 0))) if defaults else None


def _check_single_default(cache: Cache, doc: Doc) -> None:
    """Raises Forbidden if a PriorityClass wants to be the default and another one is."""
    name = doc["metadata"].get("name", "")
    if not doc.get("globalDefault"):
        return
    for other in cache.indexed(kinds.PRIORITY_CLASS, "default", ""):
        taken = other["metadata"]["name"]
        if taken != name:
            raise Forbidden(
                f'{kinds.PRIORITY_CLASS.resource} "{name}" is forbidden: PriorityClass {taken} is '
                "already marked as default. Only one default can exist",
                kind=kinds.PRIORITY_CLASS, name=name,
            )  # fmt: skip
