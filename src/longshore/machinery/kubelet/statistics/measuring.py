"""Measure a node, its pods and their containers when somebody asks.

Nothing is measured unless somebody asks, and then at most every ten seconds; files at most every minute. A
rate is the mean since the measurement before; that of a container measured for the first time, since its start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from longshore.base.clock import Clock
from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.resources.gauges import Gauges
from longshore.machinery.kubelet.resources.meter import Meter, PodFiles
from longshore.machinery.kubelet.resources.use import Reading
from longshore.machinery.network.counters import Traffic
from longshore.machinery.runtime.pressure import MACHINE, CanTellPressure, Pressures
from longshore.machinery.runtime.protocol import (
    CanMeasure,
    CanWeigh,
    Container,
    DiskUse,
    Runtime,
    Usage,
)

MEASURE_EVERY_S = 10.0
FILES_EVERY_S = 60.0
# The rate over less than this is mostly chance (the kernel's clock ticks every few milliseconds).
_WINDOW_MIN_S = 0.1

OnePod = tuple[Doc, Sequence[Container]]
"""A pod of the node and its running containers."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A container's, a pod's or a node's use at a moment. cores_ns is CPU time per second, window_s the
    time that it is the mean of; pressure is what it waited for."""

    at: float
    usage: Usage
    cores_ns: int
    window_s: float
    pressure: Pressures = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PodMeasured:
    """One pod. containers are those that run, None: not measured yet; files None: not looked at."""

    doc: Doc
    containers: tuple[tuple[Container, Measured | None], ...] = ()
    traffic: Traffic | None = None
    files: PodFiles | None = None
    written: Mapping[str, DiskUse] = field(default_factory=dict)
    pressure: Pressures = field(default_factory=dict)

    @property
    def known(self) -> list[tuple[Container, Measured]]:
        return [(container, one) for container, one in self.containers if one is not None]

    @property
    def whole(self) -> Measured | None:
        """The pod's own use; None while none of its containers is known."""
        known = [one for _, one in self.known]
        return replace(together(known), pressure=self.pressure) if known else None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All of a node at a moment. readings are those of eviction's signals."""

    at: float = 0.0
    node: Measured | None = None
    pods: tuple[PodMeasured, ...] = ()
    readings: Mapping[str, Reading] = field(default_factory=dict)
    traffic: Mapping[str, Traffic] = field(default_factory=dict)


class Links:
    """Where traffic is read: of all links of the node by name, and which of them is a pod's."""

    def __init__(
        self,
        read: Callable[[], Mapping[str, Traffic]] = dict,
        name_of: Callable[[str], str] = lambda uid: "",
    ) -> None:
        self.read = read
        self.name_of = name_of


class Measuring:
    """The last measurements of one node."""

    def __init__(self, runtime: Runtime, meter: Meter, clock: Clock) -> None:
        self._runtime = runtime
        self._meter = meter
        self._clock = clock
        self._at = self._files_at = float("-inf")
        self._node: Measured | None = None
        self._each: dict[str, Measured] = {}
        self._readings: Mapping[str, Reading] = {}
        self._traffic: Mapping[str, Traffic] = {}
        self._files: dict[str, PodFiles] = {}
        self._written: Mapping[str, DiskUse] = {}
        self._pressure: Mapping[str, Pressures] = {}

    async def snapshot(
        self, pods: Sequence[OnePod], gauges: Gauges, links: Links, *, files: bool
    ) -> Snapshot:
        """files: what they take on disk as well, which costs a look at each of them."""
        if await self._measure({one.id: one for _, running in pods for one in running}):
            self._readings, self._traffic = gauges.read(), links.read()
        if files:
            await self._weigh(pods)
        shown = tuple(self._pod(doc, running, links) for doc, running in pods)
        return Snapshot(self._at, self._node, shown, self._readings, self._traffic)

    def _pod(self, doc: Doc, running: Sequence[Container], links: Links) -> PodMeasured:
        uid = doc["metadata"]["uid"]
        theirs = self._traffic.get(links.name_of(uid))
        return PodMeasured(
            doc,
            tuple((one, self._each.get(one.id)) for one in running),
            theirs.seen_from_the_other_end() if theirs is not None else None,
            self._files.get(uid),
            {one.name: self._written[one.id] for one in running if one.id in self._written},
            self._pressure.get(running[0].sandbox, {}) if running else {},
        )

    async def _measure(self, running: Mapping[str, Container]) -> bool:
        """Measure anew, unless that was done just now; whether it was not."""
        now = self._clock.now()
        if now - self._at < MEASURE_EVERY_S:
            return False
        self._at = now
        if isinstance(self._runtime, CanMeasure):
            await self._measure_use(self._runtime, running, now)
        return True

    async def _measure_use(
        self, runtime: CanMeasure, running: Mapping[str, Container], now: float
    ) -> None:
        node, each = await runtime.usage()
        if isinstance(runtime, CanTellPressure):
            self._pressure = await runtime.pressure()
        self._each = {
            one: self._told(one, rate(usage, now, self._each.get(one), running[one].started_at))
            for one, usage in each.items()
            if one in running
        }
        if node is not None:
            together = sum(one.cores_ns for one in self._each.values())
            before = self._node
            first = Measured(now, node, together, MEASURE_EVERY_S)
            self._node = self._told(MACHINE, rate(node, now, before, now) if before else first)

    def _told(self, who: str, measured: Measured) -> Measured:
        return replace(measured, pressure=self._pressure.get(who, {}))

    async def _weigh(self, pods: Sequence[OnePod]) -> None:
        now = self._clock.now()
        if now - self._files_at < FILES_EVERY_S:
            return
        self._files_at = now
        self._files = await self._meter.files([doc for doc, _ in pods])
        if isinstance(self._runtime, CanWeigh):
            ids = [one.id for _, running in pods for one in running]
            self._written = await self._runtime.written(ids)


def rate(usage: Usage, now: float, before: Measured | None, started_at: float) -> Measured:
    """The use, and its mean since the measurement before or the start. A counter that ran backwards
    began anew."""
    since, used = (before.at, before.usage.cpu_ns) if before else (started_at, 0)
    window = max(now - since, _WINDOW_MIN_S)
    return Measured(now, usage, int(max(0, usage.cpu_ns - used) / window), window)


def together(all_of: Sequence[Measured]) -> Measured:
    """What several use, as one: of a pod's containers."""
    uses = [one.usage for one in all_of]
    total = Usage(
        sum(one.cpu_ns for one in uses), sum(one.memory_bytes for one in uses),
        sum(one.working_set_bytes for one in uses), sum(one.rss_bytes for one in uses),
        sum(one.page_faults for one in uses), sum(one.major_page_faults for one in uses),
        sum(one.pids for one in uses),
    )  # fmt: skip
    return Measured(all_of[0].at, total, sum(one.cores_ns for one in all_of), all_of[0].window_s)
