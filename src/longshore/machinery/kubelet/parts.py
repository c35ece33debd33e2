"""What there is one of on a node, put together: who registers it, watches its resources and hands out its
devices and CPUs, and the tools that all workers share. Who uses them is in run.py."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from longshore.base.clock import Clock
from longshore.core.registry.client import Client
from longshore.machinery.kubelet.config import STARTS_AT_ONCE, KubeletConfig
from longshore.machinery.kubelet.cpus.plan import Machine
from longshore.machinery.kubelet.cpus.run import CpuManager
from longshore.machinery.kubelet.credentials import Credentials, TokenSource
from longshore.machinery.kubelet.devices.run import Around as DevicesAround
from longshore.machinery.kubelet.devices.run import Devices
from longshore.machinery.kubelet.images.pulls import Puller
from longshore.machinery.kubelet.images.records import PullRecords
from longshore.machinery.kubelet.network import Guard, PodNetwork
from longshore.machinery.kubelet.node.plan import MachineFacts
from longshore.machinery.kubelet.node.run import NodeKeeper
from longshore.machinery.kubelet.pods.entering import gate_of
from longshore.machinery.kubelet.pods.tools import Tools
from longshore.machinery.kubelet.pods.worker import PodWorker
from longshore.machinery.kubelet.probes.handlers import Checker
from longshore.machinery.kubelet.resources.around import Around
from longshore.machinery.kubelet.resources.gauges import Gauges
from longshore.machinery.kubelet.resources.run import NodeResources
from longshore.machinery.kubelet.sources import Fetcher, ServiceMirror
from longshore.machinery.kubelet.static.guarding import LateGuard
from longshore.machinery.kubelet.static.mirroring import Mirrors
from longshore.machinery.kubelet.statistics.agent import AgentMetrics
from longshore.machinery.kubelet.volumes.following import Followed
from longshore.machinery.kubelet.writer import StatusWriter
from longshore.machinery.loop.alarms import Alarms
from longshore.machinery.loop.recorder import Journal
from longshore.machinery.runtime.protocol import Runtime

_RESOLV_CONF = Path("/etc/resolv.conf")


@dataclass(frozen=True, slots=True)
class Setting:
    """What an agent is given. gauges(), machine() and facts() are asked anew every time."""

    config: KubeletConfig
    client: Client
    runtime: Runtime
    network: PodNetwork
    guard: Guard
    checker: Checker
    clock: Clock
    tokens: TokenSource | None
    gauges: Callable[[], Gauges]
    machine: Callable[[], Machine]
    facts: Callable[[], MachineFacts]
    metrics: AgentMetrics


@dataclass(frozen=True, slots=True)
class Workers:
    """The pods of the node, to the parts: all that are here; ring(uid) has one look again, and so has
    outdated(uid), whose volumes no longer hold what they should."""

    here: Callable[[], list[PodWorker]]
    ring: Callable[[str], None]
    outdated: Callable[[str], None]


class Parts:
    """One node. They work while loops() run in crew."""

    def __init__(self, setting: Setting, workers: Workers, crew: asyncio.TaskGroup) -> None:
        config, client, clock = setting.config, setting.client, setting.clock
        self._setting = setting
        self._workers = workers
        self._crew = crew
        self._journal = Journal(client, clock)
        self._services = ServiceMirror(client, clock)
        self._recorder = self._journal.recorder("kubelet", config.node_name)
        self.writer = StatusWriter(client, clock)
        self._keeper = NodeKeeper(config, client, setting.runtime, clock, setting.facts)
        self._keeper.recorder = self._recorder
        self._resources = self._watched()
        self._keeper.pressure = lambda: self._resources.evictor.conditions
        self._devices = self._handed_out()
        self._keeper.devices = self._devices
        self._cpus = self._pinned()
        self.tools = self._tools()

    def _watched(self) -> NodeResources:
        setting = self._setting
        return NodeResources(
            Around(
                setting.config, setting.runtime, setting.clock, self._recorder, self._keeper,
                setting.gauges, self._workers.here, setting.metrics.evictions,
            )
        )  # fmt: skip

    def _handed_out(self) -> Devices:
        setting, here = self._setting, self._workers.here
        around = DevicesAround(
            self._keeper.hurry, lambda: [worker.pod for worker in here()], setting.metrics.devices
        )
        devices = Devices(setting.config, setting.client, setting.clock, self._crew, around)
        devices.load()
        return devices

    def _pinned(self) -> CpuManager:
        setting = self._setting
        static = setting.config.resources.cpu_manager_policy == "static"
        machine = setting.machine() if static else None
        cpus = CpuManager(setting.config.root, machine, setting.runtime, self._workers.here)
        cpus.load()
        return cpus

    def _tools(self) -> Tools:
        setting, crew, workers = self._setting, self._crew, self._workers
        config, client, clock, runtime = (
            setting.config,
            setting.client,
            setting.clock,
            setting.runtime,
        )
        tokens = setting.tokens
        credentials = Credentials(tokens, clock) if tokens is not None else None
        records = PullRecords(config.pull_records or config.root / "image-pulls.json")
        return Tools(
            config=config,
            runtime=runtime,
            network=setting.network,
            guard=setting.guard,
            clock=clock,
            events=self._recorder,
            writer=self.writer,
            crew=crew,
            puller=Puller(runtime, records, crew, clock, config.max_parallel_image_pulls),
            pull_records=records,
            fetcher=Fetcher(client, self._services, clock, credentials),
            followed=Followed(client, clock, crew, workers.outdated),
            checker=setting.checker,
            starts=asyncio.Semaphore(STARTS_AT_ONCE),
            alarm=Alarms[str](clock, workers.ring, crew).set,
            allocatable=lambda: self._keeper.allocatable,
            gate=gate_of(config, self._keeper, runtime, workers.ring),
            keeper=self._keeper,
            devices=self._devices,
            metrics=setting.metrics,
            cpus=self._cpus,
            node_resolv_conf=_node_resolv_conf(),
        )

    def static_tools(self, mirrors: Mirrors) -> Tools:
        """What a static pod's worker has instead: it must not wait for an API server."""
        setting = self._setting
        mirrors.through(self.writer)
        return replace(
            self.tools,
            writer=mirrors,
            guard=LateGuard(setting.guard, setting.network, setting.clock, self._crew),
            fetcher=Fetcher(setting.client, self._services, setting.clock, patient=False),
        )

    def loops(self) -> Iterable[tuple[str, Coroutine[Any, Any, None]]]:
        """What is to run as long as the node is served, by name."""
        return (
            ("events", self._journal.run()),
            ("services", self._services.run()),
            ("statuses", self.writer.run()),
            ("node", self._keeper.run()),
            ("resources", self._resources.run()),
            ("cpus", self._cpus.run()),
            ("devices", self._devices.run()),
        )


def _node_resolv_conf() -> str:
    try:
        return _RESOLV_CONF.read_text(encoding="utf-8")
    except OSError:
        return ""
