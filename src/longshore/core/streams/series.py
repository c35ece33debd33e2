"""What pods say of themselves in Prometheus' format, as doors and autoscalers read it.

All of them ask one reader of a server; what a pod says is known to its own namespace alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Series:
    """One series of one pod at a moment. value: of a gauge what it is, of a counter how much it grew a
    second within the window_s seconds that ended at `at` (seconds since the epoch)."""

    pod: str
    labels: Mapping[str, str]
    value: float
    at: float
    window_s: float

    @property
    def milli(self) -> int:
        """Thousandths, as quantities count them."""
        return round(self.value * 1000)


class Exposed(Protocol):
    """Reads series. One is made for a server and shared by all that read."""

    async def of_pods(self, namespace: str, pods: Iterable[str], metric: str) -> Sequence[Series]:
        """That metric's series of those pods, none of them older than a few seconds. Pods that say
        nothing, or cannot be reached, are left out; nothing is raised for them."""

    async def of_namespace(self, namespace: str, metric: str) -> Sequence[Series]:
        """That metric's series of all pods there that let themselves be asked."""

    def known(self) -> Iterable[str]:
        """The names of metrics that were heard of within the last minutes, sorted."""


class NothingExposed:
    """Where no pod can be asked."""

    async def of_pods(self, namespace: str, pods: Iterable[str], metric: str) -> Sequence[Series]:
        return ()

    async def of_namespace(self, namespace: str, metric: str) -> Sequence[Series]:
        return ()

    def known(self) -> Iterable[str]:
        return ()


def describing(series: Iterable[Series], singular: str, name: str) -> list[Series]:
    """Those that are about one object: of a namespace all of its pods' series, of anything else those
    with its kind as a label and its name as the value (ingress="main")."""
    if singular == "namespace":
        return list(series)
    return [one for one in series if one.labels.get(singular) == name]
