"""Whose turn it is: the order in which pods go when a node is short of something. Pure.

Source: pkg/kubelet/eviction/helpers.go (rankMemoryPressure, rankPIDPressure, rankDiskPressureFunc): who uses
more than was asked for, then the lower priority, then by how much.
"""

from __future__ import annotations

from collections.abc import Iterable

from longshore.core.objects.kinds import Doc
from longshore.core.objects.pod_requests import requests_of
from longshore.machinery.kubelet.lifecycle.model import is_static
from longshore.machinery.kubelet.resources.thresholds import DISK, INODES, MEMORY, PIDS
from longshore.machinery.kubelet.resources.use import PodUse

SYSTEM_CRITICAL_PRIORITY = 2_000_000_000


def ranked(uses: Iterable[PodUse], resource: str) -> list[PodUse]:
    """The first is the first to go."""
    assert resource in (MEMORY, DISK, INODES, PIDS), resource
    if resource == PIDS:
        return sorted(uses, key=lambda use: (_priority(use.pod), -use.pids))
    return sorted(uses, key=lambda use: _rank(use, resource))


def _rank(use: PodUse, resource: str) -> tuple[bool, int, int]:
    over = use.of(resource) - requests_of(use.pod["spec"]).get(resource, 0)
    return over <= 0, _priority(use.pod), -over


def _priority(pod: Doc) -> int:
    return int(pod["spec"].get("priority") or 0)


def is_critical(pod: Doc) -> bool:
    """Such a pod is never evicted (kubelet/types: IsCriticalPod)."""
    annotations = pod["metadata"].get("annotations") or {}
    mirror = "kubernetes.io/config.mirror" in annotations
    return is_static(pod) or mirror or _priority(pod) >= SYSTEM_CRITICAL_PRIORITY
