"""Pods whose resources are changed while they run (KEP-1287).

What is wanted is in the spec; what the node has set aside for a container, and what that container really
has, is in its status: allocatedResources and resources. They differ while a change waits or is under way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
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


def settled_generation(pod: Doc) -> int | None:
    """metadata.generation of a pod that is counted by its spec alone; None while its status counts too,
    and changes what it is counted for."""
    generation: int = pod["metadata"].get("generation", 0)
    return generation if generation <= 1 or accounted(pod) is pod["spec"] else None


def _counted(holder: Doc, status: Doc | None, *, hopeless: bool) -> Doc:
    """A container, or the spec of a pod as a whole, with the resources it counts for."""
    if status is None or not ("allocatedResources" in status or status.get("resources")):
        return holder
    wanted, actual = holder.get("resources") or {}, status.get("resources") or {}
    allocated = status.get("allocatedResources") or {}
    if _is_settled(wanted, allocated, actual):
        return holder
    told = {
        "requests": (allocated, actual.get("requests") or {}),
        "limits": (actual.get("limits") or {},),
    }
    counted = {}
    for side, others in told.items():
        own = wanted.get(side) or {}
        if most := _most(() if hopeless else (own,), others):
            counted[side] = own if most == own else most
    if all(counted.get(side) == (wanted.get(side) or None) for side in told):
        return holder
    return {**holder, "resources": {**wanted, **counted}}


def _is_settled(wanted: Doc, allocated: Doc, actual: Doc) -> bool:
    """Whether all say the same in the same words, as nearly always."""
    requests, limits = wanted.get("requests") or {}, wanted.get("limits") or {}
    return (
        (allocated or requests) == requests
        and (actual.get("requests") or requests) == requests
        and (actual.get("limits") or limits) == limits
    )


def _most(*groups: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Of each resource the largest amount that anybody names."""
    most: dict[str, str] = {}
    for amounts in chain.from_iterable(groups):
        for name, text in amounts.items():
            if name not in most or (
                text != most[name] and amount(name, text) > amount(name, most[name])
            ):
                most[name] = text
    return most
