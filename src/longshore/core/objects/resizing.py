"""Pods whose resources are changed while they run (KEP-1287).

What is wanted is in the spec; what the node has set aside for a container, and what that container really
has, is in its status: allocatedResources and resources. They differ while a change waits or is under way.
"""

from __future__ import annotations

from typing import Any

from longshore.core.objects.kinds import Doc
from longshore.core.objects.pod_requests import amount

PENDING = "PodResizePending"
IN_PROGRESS = "PodResizeInProgress"
DEFERRED = "Deferred"
INFEASIBLE = "Infeasible"
# What may change of a container.
PARTS = ("resources", "resizePolicy")
LISTS = ("containers", "initContainers")


def resized(new: Doc, old: Doc) -> Doc:
    """The old spec with the resources of the new one. Where the containers are not those there were,
    the new list: the rules tell what is wrong with it (pkg/registry/core/pod: dropNonResizeUpdates)."""
    spec = {**old, **{name: _containers(new[name], old[name]) for name in LISTS if name in new}}
    if new.get("resources"):
        spec["resources"] = new["resources"]
    return spec


def _containers(new: list[Doc], old: list[Doc]) -> list[Doc]:
    if names_of(new) != names_of(old):
        return new
    return [_container(one, before) for one, before in zip(new, old, strict=True)]


def _container(new: Doc, old: Doc) -> Doc:
    kept = {key: value for key, value in old.items() if key not in PARTS}
    return {**kept, **{part: new[part] for part in PARTS if part in new}}


def names_of(containers: list[Doc] | None) -> list[Any]:
    return [one.get("name") for one in containers or ()]


def accounted(pod: Doc) -> Doc:
    """The spec by which a pod is counted: each container with the most of what it wants, what is set aside
    for it and what it has; what can never be is not wanted. It is the pod's own, unless something was
    changed (component-helpers/resource: AggregateContainerRequests with UseStatusResources)."""
    spec: Doc = pod["spec"]
    status = pod.get("status")
    # The first generation wants what it got.
    if not status or pod["metadata"].get("generation", 1) == 1:
        return spec
    told = {
        one["name"]: one
        for kind in ("containerStatuses", "initContainerStatuses")
        for one in status.get(kind) or ()
    }
    hopeless = is_infeasible(status)
    counted = {
        name: [_counted(one, told.get(one["name"]), hopeless=hopeless) for one in spec[name]]
        for name in LISTS
        if name in spec
    }
    whole = _counted(spec, status, hopeless=hopeless)
    if whole is spec and all(
        one is before
        for name in counted
        for one, before in zip(counted[name], spec[name], strict=True)
    ):
        return spec
    return {**whole, **counted}


def is_infeasible(status: Doc) -> bool:
    """Whether the node can never give the pod what it wants now."""
    return any(
        one["type"] == PENDING and one.get("reason") == INFEASIBLE
        for one in status.get("conditions") or ()
    )


def _counted(holder: Doc, status: Doc | None, *, hopeless: bool) -> Doc:
    """A container, or the spec of a pod as a whole, with the requests it counts for."""
    if status is None or not ("allocatedResources" in status or status.get("resources")):
        return holder
    wanted = (holder.get("resources") or {}).get("requests") or {}
    allocated = status.get("allocatedResources") or {}
    actual = (status.get("resources") or {}).get("requests") or allocated
    if allocated == wanted == actual:
        return holder
    most = dict(allocated) if hopeless else dict(wanted)
    for amounts in (allocated, actual):
        for name, text in amounts.items():
            if name not in most or amount(name, text) > amount(name, most[name]):
                most[name] = text
    if most == wanted:
        return holder
    return {**holder, "resources": {**(holder.get("resources") or {}), "requests": most}}
