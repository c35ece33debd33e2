"""What is said of an eviction, in upstream's words (pkg/kubelet/eviction/helpers.go). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from longshore.base import quantities
from longshore.core.objects.kinds import Doc
from longshore.core.objects.pod_requests import amount
from longshore.machinery.kubelet.lifecycle.model import init_containers, main_containers
from longshore.machinery.kubelet.resources.thresholds import DISK, MEMORY, Threshold
from longshore.machinery.kubelet.resources.use import ContainerUse, PodUse, Reading

REASON = "Evicted"
# pkg/kubelet/events: that a condition is False, and that it is True.
_TURNS = {
    "MemoryPressure": ("NodeHasSufficientMemory", "NodeHasInsufficientMemory"),
    "DiskPressure": ("NodeHasNoDiskPressure", "NodeHasDiskPressure"),
    "PIDPressure": ("NodeHasSufficientPID", "NodeHasInsufficientPID"),
}


def turns(before: frozenset[str], now: frozenset[str]) -> list[str]:
    """The reasons of Events about conditions of the node that are others now."""
    return [_TURNS[name][name in now] for name in sorted(before ^ now)]


def shortage_message(
    use: PodUse, due: Iterable[Threshold], resource: str, readings: Mapping[str, Reading]
) -> str:
    """Why this pod goes: what the node is short of, and who of the pod took more than asked for."""
    said = f"The node was low on resource: {resource}. "
    for one in due:
        if one.resource == resource and one.signal in readings:
            read = readings[one.signal]
            least = _text(one.value.of(read.capacity))
            said += f"Threshold quantity: {least}, available: {_text(read.available)}. "
            break
    return said + "".join(_blame(use, c, resource) for c in _containers(use.pod))


def _containers(pod: Doc) -> list[Doc]:
    return [*main_containers(pod["spec"]), *init_containers(pod["spec"])]


def _blame(use: PodUse, container: Doc, resource: str) -> str:
    known, used = use.containers.get(container["name"]), 0
    if known is not None:
        used = _used(known, resource)
    requests = (container.get("resources") or {}).get("requests") or {}
    if used <= amount(resource, requests.get(resource, 0)):
        return ""
    return (f"Container {container['name']} was using {_text(used)}, request is "
            f"{requests.get(resource, 0)}, has larger consumption of {resource}. ")  # fmt: skip


def _used(use: ContainerUse, resource: str) -> int:
    return {MEMORY: use.memory, DISK: use.written + use.logs}.get(resource, 0)


def _text(value: int) -> str:
    return quantities.text(value, binary=True)
