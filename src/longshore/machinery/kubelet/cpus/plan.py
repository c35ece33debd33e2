"""Decide which CPUs a pod's containers get for themselves. Pure.

Source: pkg/kubelet/cm/cpumanager (policy_static.go, cpu_assignment.go). All that are nobody's own are shared by
everybody else; reserved ones stay so for ever. No CPU is two pods' own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from longshore.base import quantities
from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.lifecycle.model import init_containers, is_sidecar, main_containers
from longshore.machinery.kubelet.lifecycle.qos import qos_class

Cpus: TypeAlias = frozenset[int]
Owned: TypeAlias = Mapping[str, Mapping[str, Cpus]]
"""By the pod's uid and the container's name."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Its CPUs, which of them are never anybody's own, and the (socket, core) that each is a thread of."""

    all: Cpus
    reserved: Cpus
    place: Mapping[int, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Short:
    """There are not enough."""

    requested: int
    available: int

    def __str__(self) -> str:
        return (f"not enough cpus available to satisfy request: requested={self.requested}, "
                f"available={self.available}")  # fmt: skip


def shared(machine: Machine, owned: Owned) -> Cpus:
    """What all containers run on that have none of their own."""
    return machine.all - {cpu for pod in owned.values() for cpus in pod.values() for cpu in cpus}


def whole_cpus(pod: Doc, container: Doc) -> int:
    """How many a container gets for itself: as many as it asks for, if that is a whole number and the
    pod is Guaranteed."""
    requests = (container.get("resources") or {}).get("requests") or {}
    millis = quantities.millis(requests.get("cpu", 0))
    exclusive = millis % 1000 == 0 and qos_class(pod["spec"]) == "Guaranteed"
    return millis // 1000 if exclusive else 0


def assign(machine: Machine, owned: Owned, pod: Doc) -> Mapping[str, Cpus] | Short:
    """The CPUs of each container that gets some. What an init container had is used again by those
    that come after it; a sidecar keeps its own."""
    free = shared(machine, owned) - machine.reserved
    found: dict[str, Cpus] = {}
    again: Cpus = frozenset()
    for container in (*init_containers(pod["spec"]), *main_containers(pod["spec"])):
        count = whole_cpus(pod, container)
        if not count:
            continue
        chosen = _take(machine, again, free, count)
        if chosen is None:
            return Short(count, len(again | free))
        found[container["name"]] = chosen
        free -= chosen
        passes_on = container in init_containers(pod["spec"]) and not is_sidecar(container)
        again = again | chosen if passes_on else again - chosen
    return found


def _take(machine: Machine, first: Cpus, free: Cpus, count: int) -> Cpus | None:
    """From the first ones as far as they go."""
    if len(first | free) < count:
        return None
    if len(first) >= count:
        return choose(machine, first, count)
    return first | choose(machine, free - first, count - len(first))


def choose(machine: Machine, free: Cpus, count: int) -> Cpus:
    """So many of the free ones: whole sockets, then whole cores, then threads, where least is left
    over. There must be as many."""
    assert len(free) >= count, (free, count)
    chosen: Cpus = frozenset()
    for level in (1, 2):
        for group in _whole(machine, free, level):
            if len(group) <= count - len(chosen):
                chosen |= group
    rest = sorted(free - chosen, key=lambda cpu: _crowd(machine, free - chosen, cpu))
    return chosen | frozenset(rest[: count - len(chosen)])


def _whole(machine: Machine, free: Cpus, level: int) -> Iterable[Cpus]:
    """Sockets (level 1) or cores (2) of which no thread is taken, those first whose socket has least left."""
    groups: dict[tuple[int, ...], set[int]] = {}
    for cpu in machine.all:
        groups.setdefault(machine.place[cpu][:level], set()).add(cpu)
    intact = [frozenset(group) for group in groups.values() if group <= free]
    return sorted(intact, key=lambda group: _crowd(machine, free, min(group)))


def _crowd(machine: Machine, free: Cpus, cpu: int) -> tuple[int, int, int]:
    """How much is left of its socket, and of its core."""
    socket, core = machine.place[cpu]
    beside = sum(machine.place[one][0] == socket for one in free)
    threads = sum(machine.place[one] == (socket, core) for one in free)
    return beside, threads, cpu
