"""What a node's agent tells of itself, its node and its pods, put together."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from longshore.base.clock import Clock
from longshore.core.objects.errors import NotFound
from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.config import KubeletConfig
from longshore.machinery.kubelet.node.plan import MachineFacts
from longshore.machinery.kubelet.resources.gauges import Gauges
from longshore.machinery.kubelet.resources.meter import Meter, OnNode
from longshore.machinery.kubelet.statistics import cadvisor, resource
from longshore.machinery.kubelet.statistics.agent import AgentMetrics
from longshore.machinery.kubelet.statistics.configuration import kubelet_configuration
from longshore.machinery.kubelet.statistics.measuring import Links, Measuring, OnePod, Snapshot
from longshore.machinery.kubelet.statistics.summary import cpu_and_memory, summary
from longshore.machinery.runtime.protocol import Runtime


class Statistics:
    """One per agent. gauges, links and facts are looked up anew: they may be set later."""

    def __init__(
        self,
        config: KubeletConfig,
        runtime: Runtime,
        clock: Clock,
        pods: Callable[[], Iterable[OnNode]],
        gauges: Callable[[], Gauges],
        facts: Callable[[], MachineFacts],
    ) -> None:
        self._config = config
        self._pods = pods
        self._gauges = gauges
        self._facts = facts
        self._started_at = clock.now()
        self._measuring = Measuring(runtime, Meter(config, runtime), clock)
        self.links = Links()
        self.agent = AgentMetrics(config.node_name, clock)

    async def summary(self, *, only_cpu_and_memory: bool = False) -> Doc:
        """/stats/summary."""
        name = self._config.node_name
        if only_cpu_and_memory:
            return cpu_and_memory(name, await self._snapshot(files=False))
        return summary(name, await self._snapshot(files=True), self._started_at)

    async def metrics(self, path: str) -> str:
        """What is below /metrics ("" for that itself), in Prometheus' text format. Raises NotFound."""
        match path:
            case "":
                lines = self.agent.lines(self._here())
            case "probes":
                lines = self.agent.probe_lines()
            case "resource":
                lines = resource.lines(await self._snapshot(files=False))
            case "cadvisor":
                capacity = {**self._facts().capacity, **self._config.capacity}
                lines = cadvisor.lines(await self._snapshot(files=True), capacity)
            case _:
                raise NotFound(f"there is no /metrics/{path}")
        return "".join(f"{line}\n" for line in lines)

    def pods(self) -> Doc:
        """/pods: those of the node, as the agent has them."""
        items = [one.pod for one in self._pods()]
        return {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}

    def configuration(self) -> Doc:
        """/configz."""
        return {"kubeletconfig": kubelet_configuration(self._config)}

    def _here(self) -> list[OnePod]:
        return [(one.pod, list(one.running())) for one in self._pods()]

    async def _snapshot(self, *, files: bool) -> Snapshot:
        return await self._measuring.snapshot(self._here(), self._gauges(), self.links, files=files)
