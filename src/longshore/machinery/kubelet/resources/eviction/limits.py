"""Limits of local storage that pods set themselves (pkg/kubelet/eviction: localStorageEviction). Pure."""

from __future__ import annotations

from collections.abc import Iterator

from longshore.core.objects.kinds import Doc
from longshore.core.objects.pod_requests import amount
from longshore.machinery.kubelet.lifecycle.model import init_containers, is_sidecar, main_containers
from longshore.machinery.kubelet.resources.thresholds import DISK
from longshore.machinery.kubelet.resources.use import PodUse


def has_limits(pod: Doc) -> bool:
    """Whether what the pod has on disk must be looked at at all."""
    spec = pod["spec"]
    return any(True for _ in _size_limits(spec)) or any(True for _ in _limits(spec))


def exceeded(use: PodUse) -> tuple[str, str] | None:
    """Which limit the pod exceeds: its name in metrics, and a sentence. None if it exceeds none."""
    for signal, look in (
        ("emptydirfs.limit", _volume),
        ("ephemeralpodfs.limit", _whole),
        ("ephemeralcontainerfs.limit", _container),
    ):
        if message := look(use):
            return signal, message
    return None


def _volume(use: PodUse) -> str:
    for name, limit in _size_limits(use.pod["spec"]):
        if use.volumes.get(name, 0) > amount(DISK, limit):
            return f'Usage of EmptyDir volume "{name}" exceeds the limit "{limit}". '
    return ""


def _whole(use: PodUse) -> str:
    limits = list(_limits(use.pod["spec"]))
    total = sum(amount(DISK, limit) for _, limit in limits)
    if not limits or use.disk <= total:
        return ""
    shown = limits[0][1] if len(limits) == 1 else str(total)
    return f"Pod ephemeral local storage usage exceeds the total limit of containers {shown}. "


def _container(use: PodUse) -> str:
    for name, limit in _limits(use.pod["spec"]):
        used = use.containers.get(name)
        if used is not None and used.written + used.logs > amount(DISK, limit):
            return f'Container {name} exceeded its local ephemeral storage limit "{limit}". '
    return ""


def _size_limits(spec: Doc) -> Iterator[tuple[str, str]]:
    """Volumes whose size is bounded (0 leaves it unbounded), and to how much."""
    for volume in spec.get("volumes") or []:
        limit = (volume.get("emptyDir") or {}).get("sizeLimit")
        if limit is not None and amount(DISK, limit) > 0:
            yield volume["name"], str(limit)


def _limits(spec: Doc) -> Iterator[tuple[str, str]]:
    """Containers that run for long and bound what they keep on disk."""
    sidecars = [c for c in init_containers(spec) if is_sidecar(c)]
    for container in (*main_containers(spec), *sidecars):
        limit = ((container.get("resources") or {}).get("limits") or {}).get(DISK)
        if limit is not None:
            yield container["name"], str(limit)
