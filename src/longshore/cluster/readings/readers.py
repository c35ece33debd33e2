"""The readers of a server: what nodes and pods use, and what pods say of themselves. One each is shared by
all that read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from longshore.base.clock import Clock
from longshore.cluster.readings.sampling import NodeSamples
from longshore.cluster.readings.scraping import ByAddress, ByAnnotation, Scraper
from longshore.cluster.readings.statistics import HollowStatistics, NodeStatistics
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.registry import Registry
from longshore.core.streams.protocols import Streams
from longshore.core.streams.samples import Samples
from longshore.core.streams.series import Exposed
from longshore.core.watch.cache import Cache
from longshore.machinery.kubelet.hollow.nodes import is_hollow


@dataclass(frozen=True, slots=True)
class Readers:
    samples: Samples
    exposed: Exposed


def of_hollow_nodes(registry: Registry, clock: Clock) -> Readers:
    samples = NodeSamples(HollowStatistics(registry, clock), clock)
    return Readers(samples, Scraper(registry, ByAnnotation(), clock))


def of_machines(registry: Registry, streams: Streams, clock: Clock) -> Readers:
    """Of nodes that joined: some may be hollow."""
    samples = NodeSamples(_OfEither(registry, streams, clock), clock)
    return Readers(samples, Scraper(registry, _FromEither(registry, streams), clock))


class _OfEither:
    """A Statistics that knows which nodes can be asked."""

    def __init__(self, registry: Registry, streams: Streams, clock: Clock) -> None:
        self._cache = registry.cache
        self._real, self._hollow = NodeStatistics(streams), HollowStatistics(registry, clock)

    async def stats(self, node: str) -> dict[str, Any]:
        told = self._hollow if _hollow(self._cache, node) else self._real
        return await told.stats(node)


class _FromEither:
    """An Asking that knows which pods can be asked."""

    def __init__(self, registry: Registry, streams: Streams) -> None:
        self._cache = registry.cache
        self._real, self._hollow = ByAddress(streams), ByAnnotation()

    async def text(self, pod: Doc) -> str:
        hollow = _hollow(self._cache, pod["spec"].get("nodeName", ""))
        return await (self._hollow if hollow else self._real).text(pod)


def _hollow(cache: Cache, node: str) -> bool:
    return is_hollow(cache.get(kinds.NODE, "", node) or {})


def of_nodes(registry: Registry, streams: Streams, clock: Clock) -> Readers:
    samples = NodeSamples(NodeStatistics(streams), clock)
    return Readers(samples, Scraper(registry, ByAddress(streams), clock))
