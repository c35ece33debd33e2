"""A measured node in the form of /stats/summary (k8s.io/kubelet/pkg/apis/stats/v1alpha1). Pure."""

from __future__ import annotations

from collections.abc import Iterable

from longshore.base.clock import rfc3339
from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.resources.use import Reading
from longshore.machinery.kubelet.statistics.measuring import (
    Measured,
    PodMeasured,
    Snapshot,
)
from longshore.machinery.network.counters import Traffic
from longshore.machinery.runtime.disk import together as disk_together
from longshore.machinery.runtime.pressure import Pressure, Stall
from longshore.machinery.runtime.protocol import Container, DiskUse

_LOOPBACK = "lo"


def summary(node: str, measured: Snapshot, started_at: float) -> Doc:
    """Everything. Pods of which nothing is known are left out; there is no swap to speak of."""
    return {"node": _node(node, measured, started_at), "pods": _pods(measured)}


def cpu_and_memory(node: str, measured: Snapshot) -> Doc:
    """What ?only_cpu_and_memory=true asks for."""
    figures = _figures(measured.node) if measured.node else {}
    pods = [_pod_core(pod) for pod in measured.pods]
    return {"node": {"nodeName": node, **figures}, "pods": [p for p in pods if p["containers"]]}


def _node(name: str, measured: Snapshot, started_at: float) -> Doc:
    time, readings = rfc3339(measured.at), measured.readings
    shown: Doc = {"nodeName": name, "startTime": rfc3339(started_at)}
    if measured.node is not None:
        shown |= _figures(measured.node)
        if (memory := readings.get("memory.available")) is not None:
            shown["memory"]["availableBytes"] = memory.available
    links = {n: one for n, one in measured.traffic.items() if n != _LOOPBACK}
    if "eth0" in links:
        shown["network"] = {"time": time, **_network("eth0", links["eth0"], links.items())}
    shown["fs"] = _disk("nodefs", measured)
    images = _disk("imagefs", measured)
    shown["runtime"] = {"imageFs": images, "containerFs": images}
    if (pids := readings.get("pid.available")) is not None:
        running = pids.capacity - pids.available
        shown["rlimit"] = {"time": time, "maxpid": pids.capacity, "curproc": running}
    return shown


def _pods(measured: Snapshot) -> list[Doc]:
    shown = [(pod, _pod_core(pod)) for pod in measured.pods]
    return [core | _rest(pod, core, measured) for pod, core in shown if core["containers"]]


def _pod_core(pod: PodMeasured) -> Doc:
    metadata, known = pod.doc["metadata"], pod.known
    shown: Doc = {
        "podRef": {key: metadata[key] for key in ("name", "namespace", "uid")},
        "startTime": (pod.doc.get("status") or {}).get("startTime"),
        "containers": [_container(*one) for one in known],
    }
    return shown | (_figures(pod.whole) if pod.whole else {})


def _container(container: Container, measured: Measured) -> Doc:
    start = rfc3339(container.started_at)
    return {"name": container.name, "startTime": start, **_figures(measured)}


def _rest(pod: PodMeasured, core: Doc, measured: Snapshot) -> Doc:
    """Network, processes and disk of a pod."""
    time = rfc3339(measured.at)
    pids = sum(one.usage.pids for _, one in pod.known)
    rest: Doc = {"process_stats": {"process_count": pids}}
    if pod.traffic is not None:
        eth0 = _network("eth0", pod.traffic, [("eth0", pod.traffic)])
        rest["network"] = {"time": time, **eth0}
    if pod.files is None:
        return rest
    for container in core["containers"]:
        name = container["name"]
        nothing = DiskUse(0, 0)
        container["rootfs"] = _used(pod.written.get(name, nothing), "imagefs", measured)
        container["logs"] = _used(pod.files.logs.get(name, nothing), "nodefs", measured)
    rest["volume"] = [
        {"name": name, **_used(use, "nodefs", measured)} for name, use in pod.files.volumes.items()
    ]
    every = (*pod.written.values(), *pod.files.logs.values(), *pod.files.volumes.values())
    rest["ephemeral-storage"] = _used(disk_together(every), "nodefs", measured)
    return rest


def _disk(signal: str, measured: Snapshot) -> Doc:
    """A whole file system."""
    room = measured.readings.get(f"{signal}.available", Reading(0, 0))
    inodes = measured.readings.get(f"{signal}.inodesFree", Reading(0, 0))
    return {
        "time": rfc3339(measured.at),
        "availableBytes": room.available,
        "capacityBytes": room.capacity,
        "usedBytes": room.capacity - room.available,
        "inodesFree": inodes.available,
        "inodes": inodes.capacity,
        "inodesUsed": inodes.capacity - inodes.available,
    }


def _used(use: DiskUse, signal: str, measured: Snapshot) -> Doc:
    """What somebody has of a file system."""
    return _disk(signal, measured) | {"usedBytes": use.bytes, "inodesUsed": use.inodes}


def _network(name: str, main: Traffic, all_of: Iterable[tuple[str, Traffic]]) -> Doc:
    interfaces = [_interface(each, traffic) for each, traffic in all_of]
    return {**_interface(name, main), "interfaces": interfaces}


def _interface(name: str, traffic: Traffic) -> Doc:
    return {
        "name": name,
        "rxBytes": traffic.rx_bytes,
        "rxErrors": traffic.rx_errors,
        "txBytes": traffic.tx_bytes,
        "txErrors": traffic.tx_errors,
    }


def _figures(measured: Measured) -> Doc:
    """cpu, memory and io as stats/v1alpha1 has them; and the window, which it lacks, in seconds."""
    time, usage = rfc3339(measured.at), measured.usage
    told = {name: {"psi": _psi(pressure)} for name, pressure in measured.pressure.items()}
    shown: Doc = {
        "cpu": {
            "time": time,
            "usageNanoCores": measured.cores_ns,
            "usageCoreNanoSeconds": usage.cpu_ns,
            "windowSeconds": round(measured.window_s, 3),
            **told.get("cpu", {}),
        },
        "memory": {
            "time": time,
            "usageBytes": usage.memory_bytes,
            "workingSetBytes": usage.working_set_bytes,
            "rssBytes": usage.rss_bytes,
            "pageFaults": usage.page_faults,
            "majorPageFaults": usage.major_page_faults,
            **told.get("memory", {}),
        },
    }
    return shown | ({"io": {"time": time, **told["io"]}} if "io" in told else {})


def _psi(pressure: Pressure) -> Doc:
    return {"full": _stall(pressure.full), "some": _stall(pressure.some)}


def _stall(stall: Stall) -> Doc:
    """The total in microseconds: upstream hands the kernel's own figure on."""
    means = {"avg10": stall.avg10, "avg60": stall.avg60, "avg300": stall.avg300}
    return {"total": stall.total_us, **means}
