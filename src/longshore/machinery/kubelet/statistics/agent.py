"""/metrics and /metrics/probes: what the agent itself has done, under upstream's names
(pkg/kubelet/metrics/metrics.go, pkg/kubelet/prober)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from longshore.base.clock import Clock
from longshore.base.metrics import Counter, Histogram, gauge
from longshore.base.version import GIT_VERSION
from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.devices.metrics import DeviceMetrics
from longshore.machinery.runtime.protocol import Container, RuntimeFailure

_START_BOUNDS_S = (0.5, 1, 2, 3, 4, 5, 6, 8, 10, 20, 30, 45, 60, 120, 180, 240, 300, 360, 480, 600, 900, 1200, 1800, 2700, 3600)  # fmt: skip
# pkg/kubelet/metrics: from 5 ms on, 14 of them, each two and a half times the one before.
_OPERATION_BOUNDS_S = tuple(0.005 * 2.5**step for step in range(14))
_PROBE_LABELS = ("probe_type", "result", "container", "pod", "namespace", "pod_uid")

_KINDS = {
    "containers": "container",
    "initContainers": "init_container",
    "ephemeralContainers": "ephemeral_container",
}


class AgentMetrics:
    """Counted since the agent started. Of probes, only pods that are still here are kept."""

    def __init__(self, node: str, clock: Clock) -> None:
        self._node = node
        self._clock = clock
        self._operations = Counter(
            "kubelet_runtime_operations_total",
            "Cumulative number of runtime operations by operation type.", ("operation_type",),
        )  # fmt: skip
        self._failures = Counter(
            "kubelet_runtime_operations_errors_total",
            "Cumulative number of runtime operation errors by operation type.", ("operation_type",),
        )  # fmt: skip
        self._took = Histogram(
            "kubelet_runtime_operations_duration_seconds",
            "Duration in seconds of runtime operations. Broken down by operation type.",
            ("operation_type",), _OPERATION_BOUNDS_S,
        )  # fmt: skip
        self.evictions = Counter(
            "kubelet_evictions",
            "Cumulative number of pod evictions by eviction signal",
            ("eviction_signal",),
        )
        self.rejections = Counter(
            "kubelet_admission_rejections_total",
            "Cumulative number pod admission rejections by the Kubelet.",
            ("reason",),
        )
        self.fallbacks = Counter(
            "kubelet_lifecycle_handler_http_fallbacks_total",
            "The number of times lifecycle handlers successfully fell back to http from https.",
            (),
        )
        self._starts = Histogram(
            "kubelet_pod_start_duration_seconds",
            "Duration in seconds from kubelet seeing a pod for the first time to the pod starting to run",
            (), _START_BOUNDS_S,
        )  # fmt: skip
        self._cell = self._starts.cell(())
        self.devices = DeviceMetrics()
        self._pods = Counter("kubelet_started_pods_total", "Cumulative number of pods started", ())
        self._containers = Counter(
            "kubelet_started_containers_total",
            "Cumulative number of containers started", ("container_type",),
        )  # fmt: skip
        self._probes = Counter(
            "prober_probe_total",
            "Cumulative number of a liveness, readiness or startup probe for a container by result.",
            _PROBE_LABELS,
        )  # fmt: skip

    @contextmanager
    def operation(self, kind: str) -> Iterator[None]:
        """Around one call of the runtime: run_podsandbox, start_container and others of upstream's names."""
        labels, began = (kind,), self._clock.monotonic()
        self._operations.add(labels)
        try:
            yield
        except RuntimeFailure:
            self._failures.add(labels)
            raise
        finally:
            self._took.put(self._took.cell(labels), self._clock.monotonic() - began)

    def pod_started(self, seconds: float) -> None:
        """A pod runs for the first time; since when it was known."""
        self._starts.put(self._cell, seconds)
        self._pods.add(())

    def container_started(self, pod: Doc, name: str) -> None:
        """An attempt of this container of the pod."""
        self._containers.add((_KINDS[_kind(pod, name)],))

    def probed(self, pod: Doc, container: str, probe: str, good: bool) -> None:
        """probe: liveness, readiness or startup."""
        metadata, result = pod["metadata"], "successful" if good else "failed"
        labels = (probe.capitalize(), result, container, metadata["name"])
        self._probes.add((*labels, metadata["namespace"], metadata["uid"]))

    def forget(self, uid: str) -> None:
        """The pod is gone."""
        for labels in [one for one in self._probes.values if one[-1] == uid]:
            del self._probes.values[labels]

    def lines(self, pods: Iterable[tuple[Doc, Sequence[Container]]]) -> Iterator[str]:
        """/metrics. pods are those of the node, with the containers that run."""
        running = [len(containers) for _, containers in pods if containers]
        yield from gauge("kubelet_node_name", "The node's name. The count is always 1.", ("node",),
                         [((self._node,), 1)])  # fmt: skip
        yield from gauge("kubelet_running_pods",
                         "Number of pods that have a running pod sandbox", (), [((), len(running))])  # fmt: skip
        yield from gauge("kubelet_running_containers", "Number of containers currently running",
                         ("container_state",), [(("running",), sum(running))])  # fmt: skip
        yield from gauge("kubernetes_build_info", "What was built", ("git_version",),
                         [((GIT_VERSION,), 1)])  # fmt: skip
        for one in (
            self._operations,
            self._failures,
            self._took,
            self._starts,
            self._pods,
            self._containers,
            self.evictions,
            self.rejections,
            self.fallbacks,
            self.devices,
        ):
            yield from one.lines()

    def probe_lines(self) -> Iterator[str]:
        """/metrics/probes."""
        yield from self._probes.lines()


def _kind(pod: Doc, name: str) -> str:
    """In which list of the pod the container is."""
    for kind in ("initContainers", "ephemeralContainers"):
        if any(one["name"] == name for one in pod["spec"].get(kind) or ()):
            return kind
    return "containers"
