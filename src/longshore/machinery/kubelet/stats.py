"""What a node, its pods and their containers use, in the form of the kubelet's /stats/summary.

Nothing is measured unless somebody asks, and then at most every ten seconds. A rate is the mean
since the measurement before; that of a container measured for the first time, since its start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from longshore.base.clock import Clock, rfc3339
from longshore.core.objects.kinds import Doc
from longshore.machinery.runtime.protocol import CanMeasure, Container, Runtime, Usage

MEASURE_EVERY_S = 10.0
# The rate over less than this is mostly chance (the kernel's clock ticks every few milliseconds).
_WINDOW_MIN_S = 0.1


@dataclass(frozen=True, slots=True)
class Measured:
    """A container's or a node's use at a moment. cores_ns is CPU time per second, window_s the time
    that it is the mean of."""

    at: float
    usage: Usage
    cores_ns: int
    window_s: float


class Measuring:
    """The last measurements of one node."""

    def __init__(self, runtime: Runtime, clock: Clock) -> None:
        self._runtime = runtime
        self._clock = clock
        self._at = float("-inf")
        self._node: Measured | None = None
        self._each: dict[str, Measured] = {}

    async def summary(self, node: str, pods: Sequence[tuple[Doc, Sequence[Container]]]) -> Doc:
        """pods are those of the node, with their running containers."""
        await self._measure({one.id: one for _, running in pods for one in running})
        shown = [_pod(doc, [(c, self._each.get(c.id)) for c in running]) for doc, running in pods]
        return {
            "node": {"nodeName": node, **(_figures(self._node) if self._node else {})},
            "pods": [pod for pod in shown if pod["containers"]],
        }

    async def _measure(self, running: Mapping[str, Container]) -> None:
        """Measure anew, unless that was done just now."""
        now = self._clock.now()
        if not isinstance(self._runtime, CanMeasure) or now - self._at < MEASURE_EVERY_S:
            return
        self._at = now
        node, each = await self._runtime.usage()
        self._each = {
            one: rate(usage, now, self._each.get(one), running[one].started_at)
            for one, usage in each.items()
            if one in running
        }
        if node is not None:
            together = sum(one.cores_ns for one in self._each.values())
            before = self._node
            first = Measured(now, node, together, MEASURE_EVERY_S)
            self._node = rate(node, now, before, now) if before else first


def rate(usage: Usage, now: float, before: Measured | None, started_at: float) -> Measured:
    """The use, and its mean since the measurement before or the start. A counter that ran backwards
    began anew."""
    since, used = (before.at, before.usage.cpu_ns) if before else (started_at, 0)
    window = max(now - since, _WINDOW_MIN_S)
    return Measured(now, usage, int(max(0, usage.cpu_ns - used) / window), window)


def _pod(doc: Doc, containers: list[tuple[Container, Measured | None]]) -> Doc:
    metadata = doc["metadata"]
    known = [(container, measured) for container, measured in containers if measured]
    shown: Doc = {
        "podRef": {key: metadata[key] for key in ("name", "namespace", "uid")},
        "startTime": (doc.get("status") or {}).get("startTime"),
        "containers": [
            {"name": c.name, "startTime": rfc3339(c.started_at), **_figures(m)} for c, m in known
        ],
    }
    return shown | (_figures(_together([m for _, m in known])) if known else {})


def _together(all_of: list[Measured]) -> Measured:
    total = Usage(
        *(sum(values) for values in zip(*(_numbers(one.usage) for one in all_of), strict=True))
    )
    return replace(all_of[0], usage=total, cores_ns=sum(one.cores_ns for one in all_of))


def _numbers(usage: Usage) -> tuple[int, int, int, int]:
    return usage.cpu_ns, usage.memory_bytes, usage.working_set_bytes, usage.rss_bytes


def _figures(measured: Measured) -> Doc:
    """cpu and memory as stats/v1alpha1 has them; and the window, which it lacks, in seconds."""
    time, usage = rfc3339(measured.at), measured.usage
    return {
        "cpu": {
            "time": time,
            "usageNanoCores": measured.cores_ns,
            "usageCoreNanoSeconds": usage.cpu_ns,
            "windowSeconds": round(measured.window_s, 3),
        },
        "memory": {
            "time": time,
            "usageBytes": usage.memory_bytes,
            "workingSetBytes": usage.working_set_bytes,
            "rssBytes": usage.rss_bytes,
        },
    }
