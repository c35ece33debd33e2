"""The readers of a server: what nodes and pods use, and what pods say of themselves. One each is shared by
all that read."""

from __future__ import annotations

from dataclasses import dataclass

from longshore.base.clock import Clock
from longshore.cluster.sampling import NodeSamples
from longshore.cluster.scraping import ByAddress, ByAnnotation, Scraper
from longshore.cluster.statistics import HollowStatistics, NodeStatistics
from longshore.core.registry.registry import Registry
from longshore.core.streams.protocols import Streams
from longshore.core.streams.samples import Samples
from longshore.core.streams.series import Exposed


@dataclass(frozen=True, slots=True)
class Readers:
    samples: Samples
    exposed: Exposed


def of_hollow_nodes(registry: Registry, clock: Clock) -> Readers:
    samples = NodeSamples(HollowStatistics(registry, clock), clock)
    return Readers(samples, Scraper(registry, ByAnnotation(), clock))


def of_nodes(registry: Registry, streams: Streams, clock: Clock) -> Readers:
    samples = NodeSamples(NodeStatistics(streams), clock)
    return Readers(samples, Scraper(registry, ByAddress(streams), clock))
