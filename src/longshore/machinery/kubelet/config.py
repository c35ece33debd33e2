"""What a node agent is told when it starts, and the few numbers it keeps to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from longshore.machinery.kubelet.resource_settings import ResourceSettings

RUNTIME_NAME = "longshore"
# By this path plug-ins, drivers and their pods know the kubelet's directory, wherever it is.
KUBELET_DIRECTORY = "/var/lib/kubelet"

# pkg/kubelet/apis/config/v1beta1/defaults.go
LEASE_DURATION_S = 40
LEASE_RENEW_S = 10.0
NODE_STATUS_REPORT_S = 300.0
# Others' word on a pod that contradicts its agent's is overruled when it has stood this long: until
# then it may be the agent's own report that is under way (syncPeriod of pkg/kubelet/status).
RECONCILE_S = 10.0
MAX_PODS = 110
# pkg/kubelet/kubelet.go: MaxContainerBackOff, backOffPeriod, and the doubling of both.
BACKOFF_FIRST_S = 10.0
BACKOFF_MAX_S = 300.0
# A container that ran this long has its back-off forgotten (client-go flowcontrol: twice the maximum).
BACKOFF_RESET_S = 2 * BACKOFF_MAX_S
# How long ErrImagePull is shown before it turns into ImagePullBackOff.
IMAGE_ERROR_SHOWN_S = 2.0
# ConfigMaps and Secrets in volumes are read again this often (upstream: sync period plus cache).
VOLUME_REFRESH_S = 60.0
# What could not be prepared (a missing ConfigMap, a busy mount) is tried again this often.
RETRY_S = 10.0
# Containers of one node that may be started at the same moment.
STARTS_AT_ONCE = 8
# Images of one node that are fetched at the same time (upstream's serializeImagePulls is for storage
# drivers that ours is not; registries still bound what one machine may ask).
IMAGE_PULLS_AT_ONCE = 5
# What containers get whose pod the API server no longer has, and nobody can say what it wanted.
FORCED_GRACE_S = 2
TERMINATION_MESSAGE_MAX_BYTES = 4096


def at_home(path: str, home: str) -> str:
    """Where the node whose kubelet has its directory at home has a path of the node's: nodes that share a
    machine have a /var/lib/kubelet each."""
    below = path.removeprefix(KUBELET_DIRECTORY)
    return home + below if below != path and below[:1] in ("", "/") else path


@dataclass(frozen=True, slots=True)
class Band:
    """When a node is shut down, pods of this priority and above, up to the next band's, have so many
    seconds."""

    priority: int
    grace_s: float


# pkg/apis/scheduling: SystemCriticalPriority, from which on pods are critical.
_CRITICAL = 2_000_000_000


def bands(grace_s: float, critical_s: float) -> tuple[Band, ...]:
    """shutdownGracePeriod, of which the last shutdownGracePeriodCriticalPods is for critical pods."""
    return (Band(0, grace_s - critical_s), Band(_CRITICAL, critical_s))


SHUTDOWN = bands(30.0, 10.0)


@dataclass(frozen=True, slots=True)
class KubeletConfig:
    """One node. root is the agent's own directory; capacity overrides what the machine has
    (quantities: {"cpu": "4", "memory": "8Gi", "pods": "110"}); cluster_dns are addresses."""

    node_name: str
    root: Path
    node_ip: str
    pod_cidr: str = ""
    capacity: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    cluster_dns: tuple[str, ...] = ()
    cluster_domain: str = "cluster.local"
    lease_renew_s: float = LEASE_RENEW_S
    """How often the node gives a sign of life: a quarter of what the cluster waits for one."""
    static_pods: Path | None = None
    """A directory of manifests of pods that the node runs by itself (upstream's staticPodPath)."""
    max_parallel_image_pulls: int = IMAGE_PULLS_AT_ONCE
    pull_records: Path | None = None
    """Where it is written down whose the images are; nodes that share a store of images share it.
    None: in root."""
    resources: ResourceSettings = field(default_factory=ResourceSettings)
    """What is set aside, when pods are evicted, what is cleared away."""
    shutdown: tuple[Band, ...] = SHUTDOWN
    """How long pods have when the machine is shut down (shutdownGracePeriodByPodPriority)."""
    cdi_dirs: tuple[Path, ...] = (Path("/etc/cdi"), Path("/var/run/cdi"))
    """Where it is described what names of CDI devices mean; ROOT/cdi, the node's own, goes before them."""
    host_netns: str = "/proc/self/ns/net"
    """The path of the node's own network namespace, for pods with hostNetwork. By default that of
    whoever opens it: the agent and the runtime's programs live in it."""

    @property
    def pods_dir(self) -> Path:
        """Volumes and files of pods, by uid. Private: Secrets are below it."""
        return self.root / "pods"

    @property
    def seccomp_dir(self) -> Path:
        """Seccomp profiles that pods name (type: Localhost), as files of JSON."""
        return self.root / "seccomp"

    @property
    def logs_dir(self) -> Path:
        """Container logs, as NAMESPACE_NAME_UID/CONTAINER/ATTEMPT.log."""
        return self.root / "logs"
