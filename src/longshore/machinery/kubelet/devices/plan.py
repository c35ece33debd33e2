"""Which devices a container gets, of those that plugins offer. Pure.

Rules and words: pkg/kubelet/cm/devicemanager (devicesToAllocate, PodDevices).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from longshore.base import quantities
from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.devices.model import Grant
from longshore.machinery.kubelet.lifecycle.model import init_containers, is_sidecar, main_containers


class DevicesMissing(Exception):
    """A container's devices are not to be had; the message says why, in upstream's words."""


@dataclass(frozen=True, slots=True)
class Choice:
    """kept are devices that an init container of the pod has had, count all that are to be chosen, and
    available those to choose the rest from."""

    kept: tuple[str, ...]
    available: frozenset[str]
    count: int


def in_order(spec: Doc) -> list[Doc]:
    """The containers that may have devices, in the order in which they are given them."""
    return init_containers(spec) + main_containers(spec)


def wanted(container: Doc, known: Set[str]) -> dict[str, int]:
    """How many devices of each known resource. Requests equal limits: the API sees to that."""
    limits = (container.get("resources") or {}).get("limits") or {}
    return {
        name: count
        for name in sorted(limits.keys() & known)
        if (count := int(quantities.parse(limits[name])))
    }


def reusable(spec: Doc, given: Mapping[str, Sequence[Grant]], resource: str) -> frozenset[str]:
    """Devices that were given to init containers, which have ended by the time that others run; but
    for those that a container has by now that does not end before."""
    passing: set[str] = set()
    lasting: set[str] = set()
    sidecars = [one for one in init_containers(spec) if is_sidecar(one)]
    for container in in_order(spec):
        ends = container in init_containers(spec) and container not in sidecars
        held = passing if ends else lasting
        held |= ids_of(given.get(container["name"], ()), resource)
    return frozenset(passing - lasting)


def ids_of(grants: Iterable[Grant], resource: str) -> frozenset[str]:
    return frozenset(one for grant in grants if grant.resource == resource for one in grant.ids)


def choice(resource: str, count: int, healthy: Set[str], used: Set[str], reuse: Set[str]) -> Choice:
    """What there is to choose from. used are all devices that pods have. Raises DevicesMissing."""
    kept = tuple(sorted(reuse & healthy)[:count])
    available = frozenset(healthy - used)
    if len(available) < (missing := count - len(kept)):
        raise DevicesMissing(
            f"requested number of devices unavailable for {resource}. "
            f"Requested: {missing}, Available: {len(available)}"
        )
    return Choice(kept, available, count)


def settled(choice: Choice, preferred: Iterable[str] = ()) -> tuple[str, ...]:
    """The devices: those kept, what the plugin prefers as far as it is to be had, then any."""
    liked = [one for one in preferred if one in choice.available]
    every = dict.fromkeys((*choice.kept, *liked, *sorted(choice.available)))
    return tuple(sorted(list(every)[: choice.count]))
