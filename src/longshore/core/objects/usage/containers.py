"""What the containers of one name of a workload used, and what follows for their requests.

The rules are those of the Vertical Pod Autoscaler's recommender (kubernetes/autoscaler,
vertical-pod-autoscaler/pkg/recommender: model/container.go, model/aggregate_container_state.go,
logic/recommender.go, logic/estimator.go) with its default flags.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from longshore.core.objects.kinds import Doc
from longshore.core.objects.usage.histogram import CPU, MEMORY, Histogram

DAY_S = 86_400.0
# What each sample of cpu weighs; a peak of memory weighs 1.
_CPU_WEIGHT = 0.1
# Who ran out of memory needs more by the greater of both.
_OOM_RATIO, _OOM_BYTES = 1.2, 100 * 1024 * 1024
_MARGIN = 1.15
# For a pod; its containers share it.
_LEAST_CORES, _LEAST_BYTES = 0.025, 250 * 1024 * 1024
# By bound: the share of what was seen, and what it is multiplied by for days of confidence:
# (1 + factor / days) ** exponent.
_BOUNDS = {"lowerBound": (0.5, 0.001, -2.0), "target": (0.9, 0.0, 1.0), "upperBound": (0.95, 1.0, 1.0)}  # fmt: skip


@dataclass(slots=True)
class Seen:
    """Of all containers of a name together. first and last are when they were measured, in seconds
    since the epoch; samples is how often."""

    first: float = 0.0
    last: float = 0.0
    samples: int = 0
    cpu: Histogram = field(default_factory=lambda: Histogram(CPU))
    memory: Histogram = field(default_factory=lambda: Histogram(MEMORY))

    def add_cpu(self, cores: float, at: float) -> None:
        self.cpu.add(cores, _CPU_WEIGHT, at)
        self.first = min(self.first or at, at)
        self.last = max(self.last, at)
        self.samples += 1

    @property
    def days(self) -> float:
        """How much is known: the days between first and last, or as many as samples would make at one
        a minute, whichever is less."""
        return min((self.last - self.first) / DAY_S, self.samples / 1440)


@dataclass(slots=True)
class Container:
    """One container of one pod: the peak of memory that it has within a day, which is what counts of
    its memory. A peak that is exceeded is taken back. ends is when that day does, killed when it was last
    killed for want of memory."""

    seen: Seen
    measured: float = 0.0
    ends: float = 0.0
    peak: float = 0.0
    oom_peak: float = 0.0
    killed: float = 0.0

    def sample(self, cores: float, memory: float, at: float) -> None:
        """What was measured at a moment; the same measurement again, or an older one, is left out."""
        if at > self.measured:
            self.measured = at
            self.seen.add_cpu(cores, at)
            self._remember(memory, at, oom=False)

    def ran_out(self, request: float, at: float) -> None:
        """It was killed for want of memory, of which it requests so much. What it had needed before
        for that reason is left out, so that one kill after another does not add up."""
        self.killed = at
        if at < self.ends - DAY_S:
            return
        used = max(request, self.peak)
        self._remember(max(used + _OOM_BYTES, used * _OOM_RATIO), at, oom=True)

    @property
    def _highest(self) -> float:
        return max(self.peak, self.oom_peak)

    def _remember(self, memory: float, at: float, *, oom: bool) -> None:
        before = self._highest
        if at < self.ends:
            if memory <= before:
                return
            if before:
                self.seen.memory.subtract(before, 1.0, self.ends)
        else:
            begun = self.ends or at
            self.ends = begun + ((at - begun) // DAY_S + 1) * DAY_S
            self.peak = self.oom_peak = 0.0
        self.seen.memory.add(memory, 1.0, self.ends)
        if oom:
            self.oom_peak = memory
        else:
            self.peak = memory


def written(name: str, seen: Seen) -> Doc:
    """As a WorkloadUsage has it. Upstream leaves out the peaks of a day that is not over, so as not to
    count them twice after a restart; here recommendations are made from what is written, and a peak
    that is missing would make them too small."""
    return {
        "name": name, "firstSeconds": seen.first, "lastSeconds": seen.last, "samples": seen.samples,
        "cpu": seen.cpu.written(), "memory": seen.memory.written(),
    }  # fmt: skip


def read(doc: Doc) -> Seen:
    """What written() gave."""
    return Seen(
        doc["firstSeconds"], doc["lastSeconds"], doc["samples"],
        Histogram.read(CPU, doc["cpu"]), Histogram.read(MEMORY, doc["memory"]),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Amounts:
    """cpu is in thousandths of a core, memory in bytes; both are rounded up."""

    cpu: int
    memory: int


def recommended(seen: Seen, containers: int) -> dict[str, Amounts | None]:
    """lowerBound, target and upperBound for one of so many containers of a pod. None for a bound of
    which nothing is known yet."""
    return {bound: _amounts(seen, bound, containers) for bound in _BOUNDS}


def _amounts(seen: Seen, bound: str, containers: int) -> Amounts | None:
    share, factor, exponent = _BOUNDS[bound]
    if factor and not seen.days:
        return None
    scale = _MARGIN * ((1 + factor / seen.days) ** exponent if factor else 1.0)
    cores = max(seen.cpu.percentile(share) * scale, _LEAST_CORES / containers)
    memory = max(seen.memory.percentile(share) * scale, _LEAST_BYTES / containers)
    return Amounts(math.ceil(cores * 1000), math.ceil(memory))
