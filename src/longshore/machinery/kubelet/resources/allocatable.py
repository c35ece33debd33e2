"""What pods may have of a node: its capacity less what is set aside. Pure.

Source: pkg/kubelet/cm/node_container_manager_linux.go (GetNodeAllocatableReservation) and
pkg/kubelet/nodestatus/setters.go (huge pages are taken from memory).
"""

from __future__ import annotations

from collections.abc import Mapping

from longshore.base import quantities
from longshore.core.objects.pod_requests import amount, written
from longshore.machinery.kubelet.cpus.lists import parse_cpus
from longshore.machinery.kubelet.resource_settings import ResourceSettings
from longshore.machinery.kubelet.resources.thresholds import thresholds_of

_HUGE_PAGES = "hugepages-"
# Of what is kept free by eviction, pods could never have it.
_KEPT_FREE = {"memory": "memory.available", "ephemeral-storage": "nodefs.available"}


def allocatable(capacity: Mapping[str, str], settings: ResourceSettings) -> dict[str, str]:
    """Quantities by resource; never less than nothing."""
    return {name: _left(name, text, capacity, settings) for name, text in capacity.items()}


def reserved_memory(settings: ResourceSettings) -> int:
    """Bytes set aside for the system and the agents."""
    return _reserved("memory", settings)


def _left(name: str, text: str, capacity: Mapping[str, str], settings: ResourceSettings) -> str:
    whole = amount(name, text)
    taken = _reserved(name, settings) + _kept_free(name, whole, settings)
    if name == "memory":
        taken += sum(
            quantities.whole(pages)
            for kind, pages in capacity.items()
            if kind.startswith(_HUGE_PAGES)
        )
    return written(name, max(0, whole - taken)) if taken else text


def _reserved(name: str, settings: ResourceSettings) -> int:
    """CPUs that are named are what is set aside, whatever else is said (reservedSystemCPUs)."""
    if name == "cpu" and (named := parse_cpus(settings.reserved_cpus)):
        return 1000 * len(named)
    parts = (settings.kube_reserved, settings.system_reserved)
    return sum(amount(name, part[name]) for part in parts if name in part)


def _kept_free(name: str, whole: int, settings: ResourceSettings) -> int:
    hard = [
        one for one in thresholds_of(settings) if one.hard and one.signal == _KEPT_FREE.get(name)
    ]
    return max((one.value.of(whole) for one in hard), default=0)
