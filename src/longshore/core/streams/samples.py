"""What pods and nodes use, for whoever reckons with it: doors, autoscalers, accounts of usage.

All of them ask one reader of a server, so a node is asked at most every FRESH_S, however many
want to know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

FRESH_S = 10.0
"""An answer of a node is good for this long."""


@dataclass(frozen=True, slots=True)
class Use:
    """cpu_ns: the mean over the window, in billionths of a core; memory_bytes: the working set at
    its end."""

    cpu_ns: int
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class PodSample:
    """What a pod's containers used, by their names, within window_s seconds that ended at `at`
    (seconds since the epoch). Containers that were not measured yet are missing."""

    namespace: str
    name: str
    uid: str
    at: float
    window_s: float
    containers: Mapping[str, Use]


@dataclass(frozen=True, slots=True)
class NodeSample:
    """What a node used, and its pods by their uid. use is None, at and window_s are 0, as long as
    the node itself was not measured."""

    name: str
    at: float
    window_s: float
    use: Use | None
    pods: Mapping[str, PodSample]


class Samples(Protocol):
    """Reads what is used. One is made for a server and shared by all that read."""

    async def of_nodes(self, names: Iterable[str]) -> Mapping[str, NodeSample]:
        """The newest samples of those nodes, asked at most FRESH_S ago. Nodes that are silent, gone or
        cannot be reached are left out; nothing is raised for them. A sample whose `at` has not
        changed since the last call is the same measurement."""


class NoSamples:
    """Where no node can be asked."""

    async def of_nodes(self, names: Iterable[str]) -> Mapping[str, NodeSample]:
        return {}
