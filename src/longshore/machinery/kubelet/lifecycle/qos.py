"""Quality of service classes and cgroup numbers. Pure arithmetic of pkg/apis/core/v1/helper/qos
and pkg/kubelet/cm (MilliCPUToShares)."""

from __future__ import annotations

from longshore.base import quantities
from longshore.core.objects.kinds import Doc
from longshore.core.objects.meta import qos_class as qos_class_of_pod
from longshore.core.objects.pod_requests import limits_of, requests_of
from longshore.machinery.runtime.protocol import Resources

CPU_SHARES_MIN = 2
CPU_SHARES_MAX = 262_144
SHARES_PER_CPU = 1024
PIDS_MAX = 4096
"""Processes and threads that one container may have: a fork bomb is its own trouble. (The kubelet's
podPidsLimit bounds a pod; it has no limit unless it is given one.)"""
POD_PIDS_MAX = 4 * PIDS_MAX
"""Those of a pod whose containers have no limit of their own, since their runtime knows of none."""
_OOM_GUARANTEED, _OOM_BEST_EFFORT = -997, 1000
_NODE_CRITICAL = "system-node-critical"


def qos_class(spec: Doc) -> str:
    """Guaranteed, Burstable or BestEffort."""
    return qos_class_of_pod({"spec": spec})


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


def pod_resources(spec: Doc, pids_limit: int = 0) -> Resources:
    """The bounds of a pod's cgroup (pkg/kubelet/cm: ResourceConfigForPod): the sum of what its containers
    have, where each of them says it, and of processes what the node says (podPidsLimit; below 1: nothing)."""
    pids = max(pids_limit, 0)
    requests, limits = requests_of(spec), limits_of(spec)
    if qos_class(spec) == "BestEffort":
        return Resources(cpu_shares=CPU_SHARES_MIN, pids_limit=pids)
    declared = {name for name in ("cpu", "memory") if _all_limited(spec, name)}
    return Resources(
        cpu_shares=cpu_shares(requests.get("cpu", 0)),
        cpu_limit_millis=limits.get("cpu", 0) if "cpu" in declared else 0,
        memory_limit_bytes=limits.get("memory", 0) if "memory" in declared else 0,
        pids_limit=pids,
    )


def _all_limited(spec: Doc, resource: str) -> bool:
    """Whether each container, or the pod as a whole, has a limit of it."""
    if resource in ((spec.get("resources") or {}).get("limits") or {}):
        return True
    containers = [*(spec.get("initContainers") or []), *spec["containers"]]
    return all(
        quantities.parse(((c.get("resources") or {}).get("limits") or {}).get(resource, 0)) > 0
        for c in containers
    )


def oom_score_adj(spec: Doc, container: Doc, memory_bytes: int) -> int:
    """Whom the kernel ends first when memory runs out, from -997 to 1000 (pkg/kubelet/qos/policy.go):
    Burstable containers by what they ask of the node's memory_bytes; a sidecar no sooner than the
    containers that it serves (KEP-753)."""
    quality = qos_class(spec)
    if spec.get("priorityClassName") == _NODE_CRITICAL or quality == "Guaranteed":
        return _OOM_GUARANTEED
    if quality == "BestEffort":
        return _OOM_BEST_EFFORT
    score = _burstable_score(container, memory_bytes)
    if container.get("restartPolicy") == "Always" and container in (
        spec.get("initContainers") or ()
    ):
        return min(score, *(_burstable_score(c, memory_bytes) for c in spec["containers"]))
    return score


def _burstable_score(container: Doc, memory_bytes: int) -> int:
    resources = container.get("resources") or {}
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    asked = quantities.whole(requests.get("memory", limits.get("memory", 0)))
    score = 1000 - 1000 * asked // max(memory_bytes, 1)
    return min(max(score, 1000 + _OOM_GUARANTEED), _OOM_BEST_EFFORT - 1)


def cpu_shares(millis: int) -> int:
    """cgroup v1 cpu.shares of a request in thousandths of a CPU."""
    return min(max(millis * SHARES_PER_CPU // 1000, CPU_SHARES_MIN), CPU_SHARES_MAX)
