"""Changes of a pod's resources: what is asked of the node, and in which order it is done. Pure.

A container runs with what was set aside for it. As long as that is not what the spec asks for, the pod is
seen with what it was given (given_to): everything that starts, measures or ends containers goes by that.
Sources: pkg/kubelet/allocation (what is given when), computePodResizeAction and doPodResizeAction of
pkg/kubelet/kuberuntime (what is done), pkg/kubelet/events/resize.go (words).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TypeAlias

import orjson

from longshore.core.objects.kinds import Doc
from longshore.core.objects.pod_requests import amount
from longshore.core.objects.resizing import IN_PROGRESS, LISTS, PENDING
from longshore.machinery.kubelet.lifecycle.model import Resizing
from longshore.machinery.runtime.protocol import Resources

Given: TypeAlias = Mapping[str, Doc]
"""resources by the name of a container; those of the pod as a whole under WHOLE."""
WHOLE = ""
_SIDES = ("requests", "limits")
_COUNTED = ("cpu", "memory")


def asked_by(spec: Doc) -> dict[str, Doc]:
    """What a spec asks for."""
    asked = {
        one["name"]: one.get("resources") or {} for name in LISTS for one in spec.get(name) or ()
    }
    return asked | {WHOLE: spec["resources"]} if spec.get("resources") else asked


def given_to(pod: Doc, given: Given) -> Doc:
    """The pod with these resources instead of those that its spec asks for."""
    if not given:
        return pod
    spec = dict(pod["spec"])
    for name in LISTS:
        if name in spec:
            spec[name] = [
                {**one, "resources": given[one["name"]]} if one["name"] in given else one
                for one in spec[name]
            ]
    if WHOLE in given:
        spec["resources"] = given[WHOLE]
    return {**pod, "spec": spec}


def deviating(given: Given, asked: Given) -> dict[str, Doc]:
    """Of what is given, what is not what is asked for."""
    return {
        name: one for name, one in given.items() if name in asked and not same(one, asked[name])
    }


def same(one: Doc, other: Doc) -> bool:
    """Whether two resources are equal, however their amounts are written."""
    return one == other or all(
        _amounts(one.get(side)) == _amounts(other.get(side)) for side in _SIDES
    )


def _amounts(amounts: Mapping[str, str] | None) -> dict[str, int]:
    return {name: amount(name, text) for name, text in (amounts or {}).items()}


def restarts(container: Doc, before: Doc) -> bool:
    """Whether a container has to start anew to have its resources, given those that it had."""
    policies = {
        one.get("resourceName"): one.get("restartPolicy")
        for one in container.get("resizePolicy") or ()
    }
    now = container.get("resources") or {}
    return any(
        policies.get(name) == "RestartContainer" and _one(now, name) != _one(before, name)
        for name in _COUNTED
    )


def _one(resources: Doc, name: str) -> list[int]:
    return [amount(name, (resources.get(side) or {}).get(name, 0)) for side in _SIDES]


# -- what is told --------------------------------------------------------------------------


def conditions(resizing: Resizing) -> Iterator[Doc]:
    """PodResizePending and PodResizeInProgress, where they are true."""
    if (pending := resizing.pending) is not None:
        yield {"type": PENDING, "status": "True", "reason": pending.reason,
               "message": pending.message, "observedGeneration": pending.generation}  # fmt: skip
    if resizing.generation is not None:
        told: Doc = {"type": IN_PROGRESS, "status": "True"}
        if resizing.error:
            told |= {"reason": "Error", "message": resizing.error}
        yield told | {"observedGeneration": resizing.generation}


def sentence(begins: str, pod: Doc, generation: int, error: str = "") -> str:
    """An event's message: what it is about, and the resources of all containers as JSON."""
    said: Doc = {
        name: [
            {"name": one["name"], "resources": one.get("resources") or {}}
            for one in pod["spec"][name]
        ]
        for name in ("initContainers", "containers")
        if pod["spec"].get(name)
    }
    said["generation"] = generation
    if error:
        said["error"] = error
    return f"{begins}: {orjson.dumps(said).decode()}"


def told_before(pod: Doc) -> dict[str, Doc]:
    """What an earlier life of the agent had given to containers that run, where that is not what the spec
    asks for now: the pod's status has it."""
    status = pod.get("status") or {}
    told = {
        one["name"]: one["resources"]
        for kind in ("initContainerStatuses", "containerStatuses")
        for one in status.get(kind) or ()
        if "running" in (one.get("state") or {}) and "resources" in one
    }
    if told and "resources" in status:
        told[WHOLE] = status["resources"]
    return deviating(told, asked_by(pod["spec"]))


# -- in which order it is done -------------------------------------------------------------


def shrinks(new: Resources, old: Resources) -> bool:
    """Whether any limit becomes tighter: such containers go first."""
    return any(a < b for a, b in _limits(new, old))


def grows(new: Resources, old: Resources) -> bool:
    return any(a > b for a, b in _limits(new, old))


def _limits(new: Resources, old: Resources) -> Iterator[tuple[float, float]]:
    yield _bound(new.cpu_limit_millis), _bound(old.cpu_limit_millis)
    yield _bound(new.memory_limit_bytes), _bound(old.memory_limit_bytes)
    yield new.cpu_shares, old.cpu_shares


def _bound(limit: int) -> float:
    return limit or float("inf")


def meanwhile(new: Resources, old: Resources) -> Resources:
    """The bounds of the pod while its containers change: the wider of both, so that none of them ever has
    more than the pod."""
    return replace(
        new,
        cpu_shares=max(new.cpu_shares, old.cpu_shares),
        cpu_limit_millis=_wider(new.cpu_limit_millis, old.cpu_limit_millis),
        memory_limit_bytes=_wider(new.memory_limit_bytes, old.memory_limit_bytes),
    )


def _wider(one: int, other: int) -> int:
    return max(one, other) if one and other else 0


def too_tight(name: str, new: Resources, old: Resources, used_bytes: int) -> str:
    """Why a container's memory cannot be bounded so; "" if it can."""
    limit = new.memory_limit_bytes
    if not limit or _bound(limit) >= _bound(old.memory_limit_bytes) or used_bytes < limit:
        return ""
    return (
        f'attempting to set container "{name}" memory limit ({limit}) '
        f"below current usage ({used_bytes})"
    )
