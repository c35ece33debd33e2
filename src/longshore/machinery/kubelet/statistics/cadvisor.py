"""/metrics/cadvisor: what is used, per container and per pod. Pure.

Names and labels: google/cadvisor, docs/storage/prometheus.md; a kubelet's labels are container, id, image, name,
namespace and pod. Rows without a container are of the pod as a whole, and that with id "/" is the node's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from longshore.base import quantities
from longshore.base.metrics import Labels, counter, gauge
from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.lifecycle.qos import cgroup_resources
from longshore.machinery.kubelet.statistics.measuring import (
    Measured,
    PodMeasured,
    Snapshot,
)
from longshore.machinery.network.counters import Traffic
from longshore.machinery.runtime.protocol import Container

_NS, _US = 10**9, 10**6
_LABELS = ("container", "id", "image", "name", "namespace", "pod")
_PERIOD_US = 100_000


@dataclass(frozen=True, slots=True)
class _Row:
    """Who is measured: a container, a pod (no container) or the node (neither)."""

    labels: Labels
    measured: Measured
    container: Container | None = None
    doc: Doc | None = None


def lines(measured: Snapshot, capacity: dict[str, str]) -> Iterator[str]:
    """In Prometheus' text format. capacity is the machine's, quantities by resource."""
    rows = list(_rows(measured))
    yield from _used(rows)
    yield from _waited(rows)
    yield from _said(rows)
    yield from _disk(measured)
    yield from _network(measured)
    yield from _machine(capacity)


def _rows(measured: Snapshot) -> Iterator[_Row]:
    if measured.node is not None:
        yield _Row(("", "/", "", "", "", ""), measured.node)
    for pod in measured.pods:
        if pod.whole:
            yield _Row(_of_pod(pod), pod.whole)
        for container, one in pod.known:
            yield _Row(_of(pod, container), one, container, _document(pod.doc, container.name))


def _of_pod(pod: PodMeasured) -> Labels:
    metadata = pod.doc["metadata"]
    return "", _group(pod), "", "", metadata["namespace"], metadata["name"]


def _of(pod: PodMeasured, container: Container) -> Labels:
    metadata = pod.doc["metadata"]
    path = f"{_group(pod)}/{container.id}"
    place = (metadata["namespace"], metadata["name"])
    return container.name, path, container.image, container.id, *place


def _group(pod: PodMeasured) -> str:
    return f"/kubepods/pod{pod.doc['metadata']['uid']}"


def _document(pod: Doc, name: str) -> Doc | None:
    every = (*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or ()))
    return next((one for one in every if one["name"] == name), None)


def _used(rows: list[_Row]) -> Iterator[str]:
    def told(value: Callable[[Measured], float]) -> list[tuple[Labels, float]]:
        return [(row.labels, value(row.measured)) for row in rows]

    yield from counter("container_cpu_usage_seconds_total",
                       "Cumulative cpu time consumed in seconds.", (*_LABELS, "cpu"),
                       [((*row.labels, "total"), row.measured.usage.cpu_ns / _NS) for row in rows])  # fmt: skip
    for name, help_text, value in (
        ("container_memory_usage_bytes", "Current memory usage in bytes, including all memory "
         "regardless of when it was accessed", lambda m: m.usage.memory_bytes),
        ("container_memory_working_set_bytes", "Current working set in bytes.",
         lambda m: m.usage.working_set_bytes),
        ("container_memory_rss", "Size of RSS in bytes.", lambda m: m.usage.rss_bytes),
        ("container_processes", "Number of processes running inside the container.",
         lambda m: m.usage.pids),
        ("container_last_seen", "Last time a container was seen by the exporter", lambda m: m.at),
    ):  # fmt: skip
        yield from gauge(name, help_text, _LABELS, told(value))
    yield from counter("container_memory_failures_total",
                       "Cumulative count of memory allocation failures.",
                       (*_LABELS, "failure_type", "scope"), _faults(rows))  # fmt: skip


def _faults(rows: list[_Row]) -> Iterator[tuple[Labels, float]]:
    for row in rows:
        usage = row.measured.usage
        for kind, count in (
            ("pgfault", usage.page_faults),
            ("pgmajfault", usage.major_page_faults),
        ):
            yield (*row.labels, kind, "hierarchy"), count


def _waited(rows: list[_Row]) -> Iterator[str]:
    """Pressure, where the kernel tells of it."""
    for resource, words in (("cpu", "CPU"), ("memory", "memory"), ("io", "IO")):
        told = [
            (r.labels, r.measured.pressure[resource])
            for r in rows
            if resource in r.measured.pressure
        ]
        for name, help_text, stalls in (
            ("stalled", "no tasks in the container could make progress due to",
             [(labels, one.full) for labels, one in told]),
            ("waiting", "tasks in the container have waited due to",
             [(labels, one.some) for labels, one in told]),
        ):  # fmt: skip
            yield from counter(f"container_pressure_{resource}_{name}_seconds_total",
                               f"Total time duration {help_text} {words} congestion.", _LABELS,
                               [(labels, one.total_us / _US) for labels, one in stalls])  # fmt: skip


def _said(rows: list[_Row]) -> Iterator[str]:
    """What containers were given."""
    here = [row for row in rows if row.container is not None]
    yield from gauge("container_start_time_seconds",
                     "Start time of the container since unix epoch in seconds.", _LABELS,
                     [(r.labels, r.container.started_at) for r in here if r.container])  # fmt: skip
    given = [(row.labels, cgroup_resources(row.doc)) for row in here if row.doc is not None]
    bounded = [(labels, one.cpu_limit_millis) for labels, one in given if one.cpu_limit_millis]
    yield from gauge("container_spec_cpu_shares", "CPU share of the container.", _LABELS,
                     [(labels, one.cpu_shares) for labels, one in given])  # fmt: skip
    yield from gauge("container_spec_cpu_period", "CPU period of the container.", _LABELS,
                     [(labels, _PERIOD_US) for labels, _ in bounded])  # fmt: skip
    yield from gauge("container_spec_cpu_quota", "CPU quota of the container.", _LABELS,
                     [(labels, limit * _PERIOD_US // 1000) for labels, limit in bounded])  # fmt: skip
    yield from gauge("container_spec_memory_limit_bytes", "Memory limit for the container.",
                     _LABELS, [(labels, one.memory_limit_bytes) for labels, one in given])  # fmt: skip


def _disk(measured: Snapshot) -> Iterator[str]:
    used = [
        ((*_of(pod, container), ""), pod.written[container.name])
        for pod in measured.pods
        for container, _ in pod.known
        if container.name in pod.written
    ]
    room = measured.readings.get("imagefs.available")
    labels = (*_LABELS, "device")
    yield from gauge("container_fs_usage_bytes",
                     "Number of bytes that are consumed by the container on this filesystem.",
                     labels, [(of, one.bytes) for of, one in used])  # fmt: skip
    yield from gauge("container_fs_inodes_total", "Number of Inodes", labels,
                     [(of, one.inodes) for of, one in used])  # fmt: skip
    yield from gauge("container_fs_limit_bytes",
                     "Number of bytes that can be consumed by the container on this filesystem.",
                     labels, [(of, room.capacity) for of, _ in used] if room else [])  # fmt: skip


def _network(measured: Snapshot) -> Iterator[str]:
    links = [
        ((*_of_pod(pod), "eth0"), pod.traffic) for pod in measured.pods if pod.traffic is not None
    ]
    links += [(("", "/", "", "", "", "", name), one) for name, one in measured.traffic.items()
              if not name.startswith("pod")]  # fmt: skip
    for way, does in (("receive", "received"), ("transmit", "transmitted")):
        for what, shown in (("bytes", "bytes"), ("packets", "packets"),
                            ("packets_dropped", "packets dropped while being"),
                            ("errors", "errors encountered while being")):  # fmt: skip
            yield from counter(f"container_network_{way}_{what}_total",
                               f"Cumulative count of {shown} {does}", (*_LABELS, "interface"),
                               [(of, _traffic(one, way, what)) for of, one in links])  # fmt: skip


def _traffic(one: Traffic, way: str, what: str) -> int:
    end = {"bytes": "bytes", "packets": "packets", "packets_dropped": "dropped", "errors": "errors"}
    return int(getattr(one, f"{'rx' if way == 'receive' else 'tx'}_{end[what]}"))


def _machine(capacity: dict[str, str]) -> Iterator[str]:
    yield from gauge("machine_cpu_cores", "Number of logical CPU cores.", (),
                     [((), quantities.whole(capacity.get("cpu", 0)))])  # fmt: skip
    yield from gauge("machine_memory_bytes", "Amount of memory installed on the machine.", (),
                     [((), quantities.whole(capacity.get("memory", 0)))])  # fmt: skip
