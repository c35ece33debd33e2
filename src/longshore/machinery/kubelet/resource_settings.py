"""What an agent is told about its node's resources, by the names of the KubeletConfiguration
(k8s.io/kubelet/config/v1beta1). Times are seconds, sizes quantities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from longshore.base import quantities

# k8s.io/kubernetes/pkg/kubelet/eviction/defaults_linux.go
LINUX_EVICTION_HARD: Mapping[str, str] = MappingProxyType(
    {
        "memory.available": "100Mi",
        "nodefs.available": "10%",
        "nodefs.inodesFree": "5%",
        "imagefs.available": "15%",
        "imagefs.inodesFree": "5%",
    }
)
# A local cluster's nodes share one disk with everything else on the machine: that it is nearly full
# says nothing about them, and what they gave up would not help.
SHARED_DISK_EVICTION_HARD: Mapping[str, str] = MappingProxyType({"memory.available": "100Mi"})
RESERVABLE = ("cpu", "memory", "ephemeral-storage")


@dataclass(frozen=True, slots=True)
class ResourceSettings:
    """One node's. Nothing is reserved and nothing evicted unless it is said here."""

    kube_reserved: Mapping[str, str] = field(default_factory=dict)
    system_reserved: Mapping[str, str] = field(default_factory=dict)
    eviction_hard: Mapping[str, str] = field(default_factory=dict)
    eviction_soft: Mapping[str, str] = field(default_factory=dict)
    eviction_soft_grace_s: Mapping[str, float] = field(default_factory=dict)
    eviction_minimum_reclaim: Mapping[str, str] = field(default_factory=dict)
    eviction_max_pod_grace_s: float = 0.0
    eviction_transition_s: float = 300.0
    eviction_every_s: float = 10.0
    """How often the node's resources are looked at (pkg/kubelet: evictionMonitoringPeriod)."""
    image_gc_high_percent: int = 85
    image_gc_low_percent: int = 80
    """Unused images go when the disk is fuller than the one, until it is as the other; 100: never."""
    image_gc_min_age_s: float = 120.0
    image_gc_every_s: float = 300.0
    log_max_size: str = "10Mi"
    log_max_files: int = 5
    log_look_every_s: float = 10.0
    """How often logs are looked at that do not grow fast (containerLogMonitorInterval)."""
    allowed_unsafe_sysctls: tuple[str, ...] = ()
    """Sysctls that pods may set besides the safe ones; what ends in * is a beginning."""
    pod_pids_limit: int = 0
    """Processes and threads of a pod; -1: no limit, 0: nothing is said of it."""
    cpu_manager_policy: str = "none"
    reserved_cpus: str = ""
    """A list as "0-1,4": no pod gets these for itself. Only with the static policy."""

    def __post_init__(self) -> None:
        """Raises ValueError in upstream's words (pkg/kubelet/cm/cpumanager)."""
        if self.cpu_manager_policy not in ("none", "static"):
            raise ValueError(f'unknown policy: "{self.cpu_manager_policy}"')
        if self.cpu_manager_policy == "static" and not self._reserves_cpus():
            raise ValueError(
                "the static policy requires systemreserved.cpu + kubereserved.cpu to be greater than zero"
            )

    def _reserves_cpus(self) -> bool:
        parts = (self.kube_reserved, self.system_reserved)
        return bool(self.reserved_cpus) or any(
            quantities.parse(part.get("cpu", 0)) > 0 for part in parts
        )


def reserved_of(text: str) -> dict[str, str]:
    """ "cpu=500m,memory=1Gi" as the node's agent is told it. Raises ValueError with one sentence."""
    found: dict[str, str] = {}
    for part in filter(None, text.split(",")):
        name, equals, amount = part.partition("=")
        if not equals or name not in RESERVABLE:
            raise ValueError(f"{part!r}: want NAME=QUANTITY, NAME one of {', '.join(RESERVABLE)}")
        if quantities.parse(amount) < 0:
            raise ValueError(f"{part!r}: cannot be negative")
        found[name] = amount
    return found
