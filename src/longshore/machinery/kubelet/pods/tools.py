"""What all workers of a node share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from longshore.base.clock import Clock
from longshore.machinery.kubelet.admission.gate import Gate
from longshore.machinery.kubelet.config import KubeletConfig
from longshore.machinery.kubelet.cpus.run import CpuManager
from longshore.machinery.kubelet.devices.run import Devices
from longshore.machinery.kubelet.events import Recorder
from longshore.machinery.kubelet.images.pulls import Puller
from longshore.machinery.kubelet.images.records import PullRecords
from longshore.machinery.kubelet.network import Guard, PodNetwork
from longshore.machinery.kubelet.node.run import NodeKeeper
from longshore.machinery.kubelet.probes.handlers import Checker
from longshore.machinery.kubelet.sources import Fetcher
from longshore.machinery.kubelet.statistics.agent import AgentMetrics
from longshore.machinery.kubelet.volumes.following import Followed
from longshore.machinery.kubelet.writer import Writer
from longshore.machinery.runtime.protocol import Runtime


@dataclass(frozen=True, slots=True)
class Tools:
    """One of each per node. alarm(uid, seconds) wakes a worker later; starts bounds
    how many containers start at the same moment."""

    config: KubeletConfig
    runtime: Runtime
    network: PodNetwork
    guard: Guard
    clock: Clock
    events: Recorder
    writer: Writer
    crew: asyncio.TaskGroup
    puller: Puller
    pull_records: PullRecords
    fetcher: Fetcher
    followed: Followed
    checker: Checker
    starts: asyncio.Semaphore
    alarm: Callable[[str, float], None]
    allocatable: Callable[[], Mapping[str, str]]
    gate: Gate
    keeper: NodeKeeper
    devices: Devices
    metrics: AgentMetrics
    cpus: CpuManager
    node_resolv_conf: str = ""
