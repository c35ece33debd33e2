"""Quality of service classes and cgroup numbers. Pure arithmetic of pkg/apis/core/v1/helper/qos
and pkg/kubelet/cm (MilliCPUToShares)."""

from __future__ import annotations

from longshore.base import quantities
from longshore.core.objects.kinds import Doc
from longshore.machinery.runtime.protocol import Resources

CPU_SHARES_MIN = 2
CPU_SHARES_MAX = 262_144
SHARES_PER_CPU = 1024
PIDS_MAX = 4096
"""Processes and threads that one container may have: a fork bomb is its own trouble. (The kubelet's
podPidsLimit bounds a pod; it has no limit unless it is given one.)"""


def qos_class(spec: Doc) -> str:
    """Guaranteed, Burstable or BestEffort."""
    containers = [*(spec.get("initContainers") or []), *spec["containers"]]
    asked = [_cpu_and_memory(c) for c in containers]
    if not any(requests or limits for requests, limits in asked):
        return "BestEffort"
    whole = all(len(limits) == 2 and {**limits, **requests} == limits for requests, limits in asked)
    return "Guaranteed" if whole else "Burstable"


def _cpu_and_memory(container: Doc) -> tuple[Doc, Doc]:
    resources = container.get("resources") or {}
    requests, limits = (
        {
            name: quantities.parse(amount)
            for name, amount in (resources.get(side) or {}).items()
            if name in ("cpu", "memory") and quantities.parse(amount) > 0
        }
        for side in ("requests", "limits")
    )
    return requests, limits


def cgroup_resources(container: Doc) -> Resources:
    """The limits of a container's cgroup. A request that is not given is its limit."""
    resources = container.get("resources") or {}
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    cpu_limit = quantities.millis(limits.get("cpu", 0))
    cpu_request = quantities.millis(requests["cpu"]) if "cpu" in requests else cpu_limit
    return Resources(
        cpu_shares=cpu_shares(cpu_request),
        cpu_limit_millis=cpu_limit,
        memory_limit_bytes=quantities.whole(limits.get("memory", 0)),
        pids_limit=PIDS_MAX,
    )


def cpu_shares(millis: int) -> int:
    """cgroup v1 cpu.shares of a request in thousandths of a CPU."""
    return min(max(millis * SHARES_PER_CPU // 1000, CPU_SHARES_MIN), CPU_SHARES_MAX)
