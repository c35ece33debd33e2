"""/metrics/resource: the few numbers that autoscalers need (KEP-1206). Pure.

Names: pkg/kubelet/metrics/collectors/resource_metrics.go.
"""

from __future__ import annotations

from collections.abc import Iterator

from longshore.base.metrics import Labels, counter, gauge
from longshore.machinery.kubelet.statistics.measuring import PodMeasured, Snapshot, together

_NS = 10**9
_POD, _CONTAINER = ("namespace", "pod"), ("container", "namespace", "pod")


def lines(measured: Snapshot) -> Iterator[str]:
    """In Prometheus' text format."""
    node = measured.node
    pods = [
        (_labels(one), together([m for _, m in one.known])) for one in measured.pods if one.known
    ]
    each = [
        ((container.name, *_labels(pod)), container, one)
        for pod in measured.pods
        for container, one in pod.known
    ]
    yield from counter("container_cpu_usage_seconds_total",
                       "Cumulative cpu time consumed by the container in core-seconds", _CONTAINER,
                       [(labels, one.usage.cpu_ns / _NS) for labels, _, one in each])  # fmt: skip
    yield from gauge("container_memory_working_set_bytes",
                     "Current working set of the container in bytes", _CONTAINER,
                     [(labels, one.usage.working_set_bytes) for labels, _, one in each])  # fmt: skip
    yield from gauge("container_start_time_seconds",
                     "Start time of the container since unix epoch in seconds", _CONTAINER,
                     [(labels, container.started_at) for labels, container, _ in each])  # fmt: skip
    yield from counter("node_cpu_usage_seconds_total",
                       "Cumulative cpu time consumed by the node in core-seconds", (),
                       [((), node.usage.cpu_ns / _NS)] if node else [])  # fmt: skip
    yield from gauge("node_memory_working_set_bytes",
                     "Current working set of the node in bytes", (),
                     [((), node.usage.working_set_bytes)] if node else [])  # fmt: skip
    yield from counter("pod_cpu_usage_seconds_total",
                       "Cumulative cpu time consumed by the pod in core-seconds", _POD,
                       [(labels, one.usage.cpu_ns / _NS) for labels, one in pods])  # fmt: skip
    yield from gauge("pod_memory_working_set_bytes",
                     "Current working set of the pod in bytes", _POD,
                     [(labels, one.usage.working_set_bytes) for labels, one in pods])  # fmt: skip
    yield from gauge("resource_scrape_error",
                     "1 if there was an error while getting container metrics, 0 otherwise", (),
                     [((), 0 if node else 1)])  # fmt: skip


def _labels(pod: PodMeasured) -> Labels:
    metadata = pod.doc["metadata"]
    return metadata["namespace"], metadata["name"]
