"""The reader of samples: nodes are asked when somebody wants to know; nothing is polled meanwhile.

A node that keeps silent is left out, as metrics-server leaves it out (kubernetes-sigs/metrics-server,
pkg/scraper).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from longshore.base.clock import Clock, parse_rfc3339
from longshore.cluster.readings.asking import UnderWay, within
from longshore.core.objects.errors import ApiError
from longshore.core.streams.samples import FRESH_S, NodeSample, PodSample, Use
from longshore.core.streams.statistics import Statistics

# A node has this long to answer; so many are asked at once. Those whose turn does not come within a
# round are left out, so that many silent ones do not hold up whoever asked.
_PATIENCE_S = 3.0
_AT_ONCE = 32
_ROUND_S = 10.0


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a node said at a moment; None if nothing."""

    at: float
    sample: NodeSample | None


class NodeSamples:
    """Samples of a cluster's nodes. Answers are remembered for FRESH_S, so what is kept is bounded by
    the nodes asked about within that time."""

    def __init__(self, statistics: Statistics, clock: Clock) -> None:
        self._statistics = statistics
        self._clock = clock
        self._answers: dict[str, _Answer] = {}
        self._under_way = UnderWay()
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def of_nodes(self, names: Iterable[str]) -> Mapping[str, NodeSample]:
        """See Samples."""
        wanted, until = set(names), self._clock.monotonic() + _ROUND_S
        self._forget()
        async with asyncio.TaskGroup() as crew:
            for name in wanted - self._answers.keys():
                crew.create_task(self._ask(name, until))
        known = {name: self._answers[name].sample for name in wanted if name in self._answers}
        return {name: sample for name, sample in known.items() if sample is not None}

    def _forget(self) -> None:
        """Answers are in the order in which they came."""
        oldest = self._clock.monotonic() - FRESH_S
        for name, answer in list(self._answers.items()):
            if answer.at > oldest:
                break
            del self._answers[name]

    async def _ask(self, node: str, until: float) -> None:
        async with self._slots, self._under_way.alone(node):
            if node in self._answers or self._clock.monotonic() >= until:
                return
            sample = await within(self._clock, _PATIENCE_S, self._sample(node))
            self._answers[node] = _Answer(self._clock.monotonic(), sample)

    async def _sample(self, node: str) -> NodeSample | None:
        try:
            return sample_of(node, await self._statistics.stats(node))
        except (ApiError, OSError, ValueError, KeyError, TypeError):
            # What a node says may be anything: one that talks nonsense says nothing.
            return None


def sample_of(node: str, summary: Mapping[str, Any]) -> NodeSample:
    """What a node's /stats/summary says (k8s.io/kubelet/pkg/apis/stats/v1alpha1, with
    cpu.windowSeconds besides)."""
    figures = summary.get("node") or {}
    pods = (_pod(pod) for pod in summary.get("pods") or ())
    by_uid = {pod.uid: pod for pod in pods if pod is not None}
    if "cpu" not in figures or "memory" not in figures:
        return NodeSample(node, 0.0, 0.0, None, by_uid)
    return NodeSample(node, *_span(figures), _use(figures), by_uid)


def _pod(pod: Mapping[str, Any]) -> PodSample | None:
    """None if nothing of it was measured."""
    containers, ref = pod.get("containers"), pod["podRef"]
    if not containers:
        return None
    uses = {one["name"]: _use(one) for one in containers}
    return PodSample(ref["namespace"], ref["name"], ref["uid"], *_span(containers[0]), uses)


def _span(figures: Mapping[str, Any]) -> tuple[float, float]:
    cpu = figures["cpu"]
    return parse_rfc3339(cpu["time"]), float(cpu["windowSeconds"])


def _use(figures: Mapping[str, Any]) -> Use:
    return Use(figures["cpu"]["usageNanoCores"], figures["memory"]["workingSetBytes"])
