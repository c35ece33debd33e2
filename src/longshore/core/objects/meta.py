"""What happens to an object on its way in, besides defaults and rules: status is taken from the
right place, system fields are kept, generations counted. Upstream calls these its strategies
(pkg/registry/*/strategy.go).

prepare_create changes the fresh document that it is given. prepare_update builds a new one from a
fresh `new` and a shared `old`, whose parts it may share but never changes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from longshore.base import quantities
from longshore.core.objects.errors import Forbidden
from longshore.core.objects.kinds import (
    DEPLOYMENT,
    NAMESPACE,
    NODE,
    POD,
    REPLICA_SET,
    SERVICE,
    Doc,
    Kind,
)
from longshore.core.objects.selectors import from_doc
from longshore.core.objects.services import carry_allocations

# What only the system writes; carried over from the stored object on every update.
_SYSTEM = (
    "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation",
    "managedFields",
)  # fmt: skip
_NEVER_GIVEN = (*_SYSTEM, "selfLink")
# Of a kind without a spec, all else is what is wanted.
_NOT_WANTED = {"apiVersion", "kind", "metadata", "status"}
TOLERATION_S = 300
_CRITICAL = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
_TOLERATED = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def prepare_create(kind: Kind, doc: Doc) -> Doc:
    """Drop what a client may not set and give the object its first status. Returns doc."""
    metadata = doc["metadata"]
    for name in _NEVER_GIVEN:
        if name in metadata:
            del metadata[name]
    if kind.counted:
        metadata["generation"] = 1
    if "status" in kind.subresources and kind is not NODE:  # an agent registers with its status
        first = _FIRST_STATUS.get(kind.schema)
        if first is not None:
            doc["status"] = first(doc)
        else:
            doc.pop("status", None)
    return doc


def prepare_update(kind: Kind, new: Doc, old: Doc, subresource: str = "") -> Doc:
    """The object to store when `new` is put over `old`, through its main endpoint or through
    "status" or "finalize" (which change only their part)."""
    metadata = _carried(new["metadata"], old["metadata"])
    if subresource == "status":
        metadata = _status_metadata(kind, metadata, old["metadata"])
        return _with({**old, "metadata": metadata}, "status", new.get("status"))
    if subresource == "finalize":
        finalizers = new.get("spec", {}).get("finalizers", [])
        return {
            **old,
            "metadata": metadata,
            "spec": {**old.get("spec", {}), "finalizers": finalizers},
        }
    assert not subresource, f"{subresource} is not an update"
    made = {**new, "metadata": metadata}
    if "status" in kind.subresources:
        made = _with(made, "status", old.get("status"))
    if kind is NAMESPACE:
        made["spec"] = {
            **made.get("spec", {}),
            "finalizers": old.get("spec", {}).get("finalizers", []),
        }
    if kind is SERVICE:
        made["spec"] = carry_allocations(made["spec"], old["spec"])
    if generation_changed(kind, made, old):
        metadata["generation"] = old["metadata"].get("generation", 0) + 1
    return made


def generation_changed(kind: Kind, new: Doc, old: Doc) -> bool:
    """Whether what is wanted differs, so that metadata.generation must grow by one."""
    if not kind.counted:
        return False
    if "spec" in new or "spec" in old:
        return bool(new.get("spec") != old.get("spec"))
    return any(new.get(field) != old.get(field) for field in {*new, *old} - _NOT_WANTED)


def _carried(new: Doc, old: Doc) -> Doc:
    """The new metadata with the system's own fields from the old."""
    metadata = {key: value for key, value in new.items() if key not in _NEVER_GIVEN}
    for name in _SYSTEM:
        if name in old:
            metadata[name] = old[name]
    return metadata


def _status_metadata(kind: Kind, metadata: Doc, old: Doc) -> Doc:
    """A status write may change labels and annotations, with upstream's two exceptions."""
    if kind is POD:
        return _with(metadata, "ownerReferences", old.get("ownerReferences"))
    return _with(metadata, "labels", old.get("labels")) if kind is DEPLOYMENT else metadata


def _with(doc: Doc, key: str, value: Any) -> Doc:
    """The document with a field set, or without it if the value is None."""
    if value is not None:
        return {**doc, key: value}
    return {k: v for k, v in doc.items() if k != key} if key in doc else doc


_FIRST_STATUS: dict[str, Callable[[Doc], Doc]] = {
    POD.schema: lambda doc: {"phase": "Pending", "qosClass": qos_class(doc)},
    NAMESPACE.schema: lambda _: {"phase": "Active"},
    SERVICE.schema: lambda _: {"loadBalancer": {}},
    DEPLOYMENT.schema: lambda _: {},
    REPLICA_SET.schema: lambda _: {"replicas": 0},
}


# ---- pods


def admit_pod(doc: Doc) -> Doc:
    """What upstream's default admission plugins put into a new pod: its service account, its
    priority, and five minutes of patience with a silent node. Changes and returns doc. Raises
    Forbidden for a priority class that is not built in."""
    spec = doc["spec"]
    account = spec.setdefault("serviceAccountName", "default")
    spec["serviceAccount"] = account
    name = spec.get("priorityClassName", "")
    if name and name not in _CRITICAL:
        pod = doc["metadata"].get("name", "")
        raise Forbidden(
            f'pods "{pod}" is forbidden: no PriorityClass with name {name} was found',
            kind=POD, name=pod,
        )  # fmt: skip
    spec["priority"] = _CRITICAL.get(name, 0)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    add_default_tolerations(spec)
    return doc


def add_default_tolerations(spec: Doc) -> None:
    """Tolerate a node that is not ready or unreachable for 300 s, unless the pod says otherwise
    (plugin/pkg/admission/defaulttolerationseconds)."""
    given = spec.get("tolerations", ())
    spec["tolerations"] = [*given]
    for key in _TOLERATED:
        if not any(_speaks_of(one, key) for one in given):
            spec["tolerations"].append(
                {
                    "key": key,
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": TOLERATION_S,
                }
            )


def _speaks_of(toleration: Doc, key: str) -> bool:
    return toleration.get("key", "") in (key, "") and toleration.get("effect", "") in (
        "NoExecute",
        "",
    )


def qos_class(pod: Doc) -> str:
    """Guaranteed, Burstable or BestEffort (pkg/apis/core/v1/helper/qos)."""
    spec = pod.get("spec", {})
    whole = spec.get("resources")  # pod-level resources come before those of containers
    if whole and (whole.get("requests") or whole.get("limits")):
        shares = [whole]
    else:
        containers = (*spec.get("containers", ()), *spec.get("initContainers", ()))
        shares = [container.get("resources") or {} for container in containers]
    if not any(_counts(share.get("requests")) or _counts(share.get("limits")) for share in shares):
        return "BestEffort"
    return "Guaranteed" if all(map(_is_guaranteed, shares)) else "Burstable"


def _counts(amounts: Doc | None) -> bool:
    """Whether there is any cpu or memory."""
    if not amounts:
        return False
    return _is_some(amounts.get("cpu", "0")) or _is_some(amounts.get("memory", "0"))


@lru_cache(maxsize=4096)
def _is_some(amount: str) -> bool:
    return quantities.parse(amount) > 0


def _is_guaranteed(share: Doc) -> bool:
    limits = share.get("limits") or {}
    requests = share.get("requests") or limits
    return all(
        name in limits
        and _is_some(limits[name])
        and quantities.parse(requests.get(name, limits[name])) == quantities.parse(limits[name])
        for name in ("cpu", "memory")
    )


# ---- scale


def scale_of(doc: Doc) -> Doc:
    """The autoscaling/v1 Scale of a Deployment or ReplicaSet."""
    metadata = doc["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    selector = from_doc(doc["spec"].get("selector"))
    status: Doc = {"replicas": doc.get("status", {}).get("replicas", 0)}
    if selector is not None and str(selector):
        status["selector"] = str(selector)
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: metadata[name] for name in kept if name in metadata},
        "spec": {"replicas": doc["spec"].get("replicas", 0)},
        "status": status,
    }


def with_replicas(doc: Doc, replicas: int) -> Doc:
    """A copy of the object that asks for another number of replicas."""
    return {**doc, "spec": {**doc["spec"], "replicas": replicas}}
