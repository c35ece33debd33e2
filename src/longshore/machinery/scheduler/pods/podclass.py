"""What placement looks at in a pod, read once for all pods that are alike.

Ten thousand pods of one ReplicaSet are one PodClass: the rest of the scheduler counts in classes.
Pure. What cannot be honoured yet is said in refusal (the pod waits) or ignored (it is only a wish).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler.pods import requests
from longshore.machinery.scheduler.pods.demand import PREFERRED, REQUIRED, Demand, read_demand
from longshore.machinery.scheduler.pods.ports import Port, host_ports

# What a pod that asks for nothing is taken to use when nodes are scored, never when they are
# filtered (scheduler/util DefaultMilliCPURequest, DefaultMemoryRequest).
SCORED_CPU_MILLIS, SCORED_MEMORY_BYTES = 100, 200 * 1024 * 1024
# Distinct classes that are remembered; beyond that the memory begins anew.
CLASSES_MAX = 65_536


@dataclass(frozen=True, slots=True, eq=False)
class PodClass:
    """requests: amounts by resource (cpu in millis, the rest in whole units), without "pods".
    scored: cpu millis and memory bytes as scores count them. group: the controller's uid, whose
    pods are spread."""

    demand: Demand
    requests: Mapping[str, int]
    scored: tuple[int, int]
    ports: tuple[Port, ...]
    group: str
    refusal: str
    ignored: str


class PodClasses:
    """Finds the class of a pod; pods alike get the very same object, and so do their demands."""

    def __init__(self) -> None:
        self._known: dict[bytes, PodClass] = {}
        self._demands: dict[bytes, Demand] = {}

    def of(self, pod: Doc) -> PodClass:
        spec, group = pod["spec"], _group(pod)
        key = orjson.dumps((group, _asked(spec), _taken(spec)))
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= CLASSES_MAX:
                self._known.clear()
                self._demands.clear()
            found = self._known[key] = _read(spec, group, self._demand(spec))
        return found

    def _demand(self, spec: Doc) -> Demand:
        key = orjson.dumps(_asked(spec))
        found = self._demands.get(key)
        if found is None:
            found = self._demands[key] = read_demand(spec)
        return found


def _group(pod: Doc) -> str:
    for owner in pod["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return str(owner["uid"])
    return ""


def _asked(spec: Doc) -> tuple[Any, ...]:
    """The parts of a spec that a demand is read from."""
    return spec.get("nodeSelector"), spec.get("affinity"), spec.get("tolerations")


def _taken(spec: Doc) -> tuple[Any, ...]:
    """The other parts of a spec that placement depends on, in a fixed order."""
    return (
        [(c.get("resources"), _with_host_port(c)) for c in spec["containers"]],
        [
            (c.get("resources"), c.get("restartPolicy"), _with_host_port(c))
            for c in spec.get("initContainers") or ()
        ],
        [v for v in spec.get("volumes") or () if _needs_binding(v)],
        spec.get("topologySpreadConstraints"),
        spec.get("overhead"),
        spec.get("resources"),
        spec.get("resourceClaims"),
    )


def _with_host_port(container: Doc) -> list[Doc]:
    return [port for port in container.get("ports") or () if port.get("hostPort")]


def _read(spec: Doc, group: str, demand: Demand) -> PodClass:
    amounts = requests.pod_requests(spec)
    scored = (
        amounts.get("cpu") or SCORED_CPU_MILLIS,
        amounts.get("memory") or SCORED_MEMORY_BYTES,
    )
    return PodClass(
        demand=demand,
        requests=amounts,
        scored=scored,
        ports=tuple(host_ports(spec)),
        group=group,
        refusal="; ".join(_refused(spec)),
        ignored="; ".join(_ignored(spec)),
    )


def _needs_binding(volume: Doc) -> bool:
    return "persistentVolumeClaim" in volume or "ephemeral" in volume


def _refused(spec: Doc) -> Iterator[str]:
    """Demands that this scheduler cannot meet yet, by name."""
    affinity = spec.get("affinity") or {}
    for name in ("podAffinity", "podAntiAffinity"):
        if (affinity.get(name) or {}).get(REQUIRED):
            yield f"spec.affinity.{name}.{REQUIRED} is not supported yet"
    for number, one in enumerate(spec.get("topologySpreadConstraints") or ()):
        if one.get("whenUnsatisfiable") == "DoNotSchedule":
            field = f"spec.topologySpreadConstraints[{number}].whenUnsatisfiable"
            yield f"{field}=DoNotSchedule is not supported yet"
    for volume in spec.get("volumes") or ():
        if _needs_binding(volume):
            kind = "ephemeral" if "ephemeral" in volume else "persistentVolumeClaim"
            yield f'volume "{volume["name"]}": {kind} is not supported yet'
    if spec.get("resourceClaims"):
        yield "spec.resourceClaims is not supported yet"


def _ignored(spec: Doc) -> Iterator[str]:
    """Wishes that are not weighed yet, by name."""
    affinity = spec.get("affinity") or {}
    for name in ("podAffinity", "podAntiAffinity"):
        if (affinity.get(name) or {}).get(PREFERRED):
            yield f"spec.affinity.{name}.{PREFERRED} is not weighed yet"
    soft = [
        one
        for one in spec.get("topologySpreadConstraints") or ()
        if one.get("whenUnsatisfiable") == "ScheduleAnyway"
    ]
    if soft:
        yield "spec.topologySpreadConstraints is weighed as the default spreading"
