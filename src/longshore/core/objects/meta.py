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
from longshore.core.objects import signing
from longshore.core.objects.jobs import with_selector
from longshore.core.objects.kinds import (
    API_SERVICE,
    CRON_JOB,
    CSI_NODE,
    CSR,
    DAEMON_SET,
    DEPLOYMENT,
    DEVICE_TAINT_RULE,
    FLOW_SCHEMA,
    HPA,
    JOB,
    NAMESPACE,
    NODE,
    PDB,
    POD,
    POD_CERTIFICATE_REQUEST,
    PRIORITY_LEVEL,
    PV,
    PVC,
    REPLICA_SET,
    REPLICATION_CONTROLLER,
    RESOURCE_CLAIM,
    RESOURCE_QUOTA,
    SERVICE,
    SERVICE_CIDR,
    STATEFUL_SET,
    STORAGE_VERSION_MIGRATION,
    VOLUME_ATTACHMENT,
    Doc,
    Kind,
)
from longshore.core.objects.resizing import resized
from longshore.core.objects.selectors import of_workload
from longshore.core.objects.services import carry_allocations, without_balancer

# What only the system writes; carried over from the stored object on every update.
_SYSTEM = (
    "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation",
    "managedFields",
)  # fmt: skip
_NEVER_GIVEN = (*_SYSTEM, "selfLink")
# Of a kind without a spec, all else is what is wanted.
_NOT_WANTED = {"apiVersion", "kind", "metadata", "status"}


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


def identified(kind: Kind, doc: Doc) -> Doc:
    """The new object with what follows from its name, uid and time, which it has by now. The one
    given stays as it is: its name may be taken, and drawn again."""
    if kind is POD and doc["spec"].get("schedulingGates"):
        return _gated(doc)
    return with_selector(doc) if kind is JOB else doc


def _gated(pod: Doc) -> Doc:
    """(pkg/registry/core/pod/strategy.go: applySchedulingGatedCondition)"""
    waits = {
        "type": "PodScheduled", "status": "False", "lastProbeTime": None,
        "lastTransitionTime": pod["metadata"]["creationTimestamp"], "reason": "SchedulingGated",
        "message": "Scheduling is blocked due to non-empty scheduling gates",
    }  # fmt: skip
    return {**pod, "status": {**pod["status"], "conditions": [waits]}}


def prepare_update(kind: Kind, new: Doc, old: Doc, subresource: str = "") -> Doc:
    """The object to store when `new` is put over `old`, through its main endpoint or through
    "status", "approval", "ephemeralcontainers", "resize" or "finalize" (which change only their part)."""
    metadata = _carried(new["metadata"], old["metadata"])
    if kind is CSR:
        return _signing_request(new, {**old, "metadata": metadata}, subresource)
    if subresource == "status":
        metadata = _status_metadata(kind, metadata, old["metadata"])
        return _with({**old, "metadata": metadata}, "status", new.get("status"))
    if subresource == "ephemeralcontainers":
        added = new["spec"].get("ephemeralContainers")
        return _respecified(kind, old, _with(old["spec"], "ephemeralContainers", added))
    if subresource == "resize":
        return _respecified(kind, old, resized(new["spec"], old["spec"]))
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
        made = without_balancer({**made, "spec": carry_allocations(made["spec"], old["spec"])})
    if generation_changed(kind, made, old):
        metadata["generation"] = old["metadata"].get("generation", 0) + 1
    return made


def _respecified(kind: Kind, old: Doc, spec: Doc) -> Doc:
    """The object with another spec, and nothing else of it changed."""
    made = {**old, "metadata": dict(old["metadata"]), "spec": spec}
    if generation_changed(kind, made, old):
        made["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
    return made


def _signing_request(new: Doc, old: Doc, subresource: str) -> Doc:
    """What is asked for never changes, and what came of it only through its subresources."""
    if subresource == "approval":
        return {**old, "status": signing.approved(new, old)}
    if subresource == "status":
        return {**old, "status": signing.with_decisions_kept(new, old)}
    return old


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
    """A status write may change labels and annotations, but for the kinds below."""
    for name in not_of_status(kind):
        metadata = _with(metadata, name, old.get(name))
    return metadata


def not_of_status(kind: Kind) -> tuple[str, ...]:
    """What of metadata a status write leaves as it is (GetResetFields of the status strategies)."""
    return _NOT_OF_STATUS.get(kind.schema, ())


_CLIENTS = ("labels", "annotations", "finalizers", "ownerReferences")
_NOT_OF_STATUS: dict[str, tuple[str, ...]] = {
    POD.schema: ("ownerReferences",),
    DEPLOYMENT.schema: ("labels",),
    **{
        kind.schema: _CLIENTS
        for kind in (
            CSI_NODE, DEVICE_TAINT_RULE, FLOW_SCHEMA, POD_CERTIFICATE_REQUEST, PRIORITY_LEVEL,
            RESOURCE_CLAIM, SERVICE_CIDR, STORAGE_VERSION_MIGRATION, VOLUME_ATTACHMENT,
        )
    },
}  # fmt: skip


def _with(doc: Doc, key: str, value: Any) -> Doc:
    """The document with a field set, or without it if the value is None."""
    if value is not None:
        return {**doc, key: value}
    return {k: v for k, v in doc.items() if k != key} if key in doc else doc


def _served_here() -> Doc:
    condition = {
        "type": "Available",
        "status": "True",
        "reason": "Local",
        "message": "Local APIServices are always available",
    }
    return {"conditions": [condition]}


_FIRST_STATUS: dict[str, Callable[[Doc], Doc]] = {
    POD.schema: lambda _: {"phase": "Pending"},
    NAMESPACE.schema: lambda _: {"phase": "Active"},
    SERVICE.schema: lambda _: {"loadBalancer": {}},
    DEPLOYMENT.schema: lambda _: {},
    REPLICA_SET.schema: lambda _: {"replicas": 0},
    # Of a group that is served elsewhere, nothing is known yet.
    API_SERVICE.schema: lambda doc: {} if doc.get("spec", {}).get("service") else _served_here(),
    REPLICATION_CONTROLLER.schema: lambda _: {"replicas": 0},
    STATEFUL_SET.schema: lambda _: {"replicas": 0, "availableReplicas": 0},
    DAEMON_SET.schema: lambda _: {
        "currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0,
        "numberReady": 0,
    },
    JOB.schema: lambda _: {},
    CRON_JOB.schema: lambda _: {},
    HPA.schema: lambda _: {"desiredReplicas": 0},
    PDB.schema: lambda _: {
        "disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0,
    },
    PVC.schema: lambda _: {"phase": "Pending"},
    PV.schema: lambda _: {"phase": "Pending"},
    RESOURCE_QUOTA.schema: lambda _: {},
}  # fmt: skip


# ---- pods


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


@lru_cache(maxsize=4096)
def _is_same(one: str, other: str) -> bool:
    return one == other or quantities.parse(one) == quantities.parse(other)


def _is_guaranteed(share: Doc) -> bool:
    limits = share.get("limits") or {}
    requests = share.get("requests") or limits
    return all(
        name in limits
        and _is_some(limits[name])
        and _is_same(requests.get(name, limits[name]), limits[name])
        for name in ("cpu", "memory")
    )


# ---- scale


def scale_of(doc: Doc) -> Doc:
    """The autoscaling/v1 Scale of an object that has replicas."""
    metadata = doc["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    selector = of_workload(doc)
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
