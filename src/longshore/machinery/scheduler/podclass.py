"""What placement looks at in a pod, read once for all pods that are alike.

Ten thousand pods of one ReplicaSet are one PodClass: the rest of the scheduler counts in classes.
Pure. What cannot be honoured yet is said in refusal (the pod waits) or ignored (it is only a wish).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from longshore.base import quantities
from longshore.core.objects.kinds import Doc
from longshore.core.objects.selectors import Requirement
from longshore.machinery.scheduler.taints import Toleration, tolerations_of

# The name of a node, among its labels: no label's key can begin with a NUL.
NODE_NAME = "\0metadata.name"
# What a pod that asks for nothing is taken to use when nodes are scored, never when they are
# filtered (scheduler/util DefaultMilliCPURequest, DefaultMemoryRequest).
SCORED_CPU_MILLIS, SCORED_MEMORY_BYTES = 100, 200 * 1024 * 1024
# Distinct classes that are remembered; beyond that the memory begins anew.
CLASSES_MAX = 65_536

_OPERATORS = {
    "In": "in",
    "NotIn": "notin",
    "Exists": "exists",
    "DoesNotExist": "!",
    "Gt": "gt",
    "Lt": "lt",
}
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"

Term = tuple[Requirement, ...]
Port = tuple[str, str, int]
"""(protocol, address, port) on the host; the address 0.0.0.0 means all."""


@dataclass(frozen=True, slots=True, eq=False)
class Demand:
    """What a pod asks of the node itself. terms: one of them must hold (empty: no demand).
    preferred: (weight, term)."""

    selector: Term
    terms: tuple[Term, ...]
    preferred: tuple[tuple[int, Term], ...]
    tolerations: tuple[Toleration, ...]


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
            found = self._demands[key] = _read_demand(spec)
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
    requests = _requests(spec)
    scored = (
        requests.get("cpu") or SCORED_CPU_MILLIS,
        requests.get("memory") or SCORED_MEMORY_BYTES,
    )
    return PodClass(
        demand=demand,
        requests=requests,
        scored=scored,
        ports=tuple(_host_ports(spec)),
        group=group,
        refusal="; ".join(_refused(spec)),
        ignored="; ".join(_ignored(spec)),
    )


def _read_demand(spec: Doc) -> Demand:
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    demanded = (affinity.get(_REQUIRED) or {}).get("nodeSelectorTerms") or ()
    labels = spec.get("nodeSelector") or {}
    return Demand(
        selector=tuple(Requirement(key, "in", (value,)) for key, value in labels.items()),
        terms=tuple(_term(one) for one in demanded),
        preferred=tuple(
            (int(one["weight"]), _term(one["preference"])) for one in affinity.get(_PREFERRED) or ()
        ),
        tolerations=tolerations_of(spec),
    )


def _term(term: Doc) -> Term:
    """A node selector term. One without any requirement matches no node: it asks for the
    impossible, a node without a name."""
    requirements = [_requirement(one, one["key"]) for one in term.get("matchExpressions") or ()]
    requirements += [_requirement(one, NODE_NAME) for one in term.get("matchFields") or ()]
    return tuple(requirements) or (Requirement(NODE_NAME, "!", ()),)


def _requirement(one: Doc, key: str) -> Requirement:
    return Requirement(key, _OPERATORS[one["operator"]], tuple(one.get("values") or ()))


def _requests(spec: Doc) -> dict[str, int]:
    """What must be free on the node: containers and sidecars together, or the peak of the init
    containers, whichever is more, and the overhead (resourcehelpers.PodRequests)."""
    total: dict[str, int] = {}
    for container in spec["containers"]:
        _add(total, _amounts(container.get("resources")))
    sidecars: dict[str, int] = {}
    peak: dict[str, int] = {}
    for container in spec.get("initContainers") or ():
        own = _amounts(container.get("resources"))
        if container.get("restartPolicy") == "Always":
            _add(sidecars, own)
            _raise_to(peak, sidecars)
        else:
            _raise_to(peak, _sum(sidecars, own))
    _add(total, sidecars)
    _raise_to(total, peak)
    total |= _amounts(spec.get("resources"))
    _add(total, _parsed(spec.get("overhead") or {}))
    return {name: amount for name, amount in total.items() if amount > 0}


def _amounts(resources: Doc | None) -> dict[str, int]:
    return _parsed((resources or {}).get("requests") or {})


def _parsed(amounts: Doc) -> dict[str, int]:
    return {name: amount(name, text) for name, text in amounts.items()}


def amount(resource: str, text: str | int | float) -> int:
    """A quantity as the columns count it: cpu in thousandths, all else in whole units."""
    return quantities.millis(text) if resource == "cpu" else quantities.whole(text)


def _add(total: dict[str, int], more: Mapping[str, int]) -> None:
    for name, value in more.items():
        total[name] = total.get(name, 0) + value


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    total = dict(one)
    _add(total, other)
    return total


def _raise_to(total: dict[str, int], least: Mapping[str, int]) -> None:
    for name, value in least.items():
        total[name] = max(total.get(name, 0), value)


def _host_ports(spec: Doc) -> Iterator[Port]:
    for container in [*spec["containers"], *_sidecars(spec)]:
        for port in container.get("ports") or ():
            if port.get("hostPort"):
                address = port.get("hostIP") or "0.0.0.0"
                yield port.get("protocol") or "TCP", address, int(port["hostPort"])


def _sidecars(spec: Doc) -> Iterable[Doc]:
    return (c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always")


def _needs_binding(volume: Doc) -> bool:
    return "persistentVolumeClaim" in volume or "ephemeral" in volume


def _refused(spec: Doc) -> Iterator[str]:
    """Demands that this scheduler cannot meet yet, by name."""
    affinity = spec.get("affinity") or {}
    for name in ("podAffinity", "podAntiAffinity"):
        if (affinity.get(name) or {}).get(_REQUIRED):
            yield f"spec.affinity.{name}.{_REQUIRED} is not supported yet"
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
        if (affinity.get(name) or {}).get(_PREFERRED):
            yield f"spec.affinity.{name}.{_PREFERRED} is not weighed yet"
    soft = [
        one
        for one in spec.get("topologySpreadConstraints") or ()
        if one.get("whenUnsatisfiable") == "ScheduleAnyway"
    ]
    if soft:
        yield "spec.topologySpreadConstraints is weighed as the default spreading"
