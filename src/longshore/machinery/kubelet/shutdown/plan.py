"""In which order pods end when their machine is shut down. Pure.

Pods of the lowest priorities first, each band within a time of its own: KEP-2000 and KEP-2712,
pkg/kubelet/nodeshutdown (words, groups).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from longshore.machinery.kubelet.config import Band
from longshore.machinery.kubelet.lifecycle.model import Verdict

UNREADY = "node is shutting down"
REJECTED = Verdict("NodeShutdown", "Pod was rejected as the node is shutting down.")
_REASON, _MESSAGE = "Terminated", "Pod was terminated in response to imminent node shutdown."


@dataclass(frozen=True, slots=True)
class Turn:
    """Pods that end together, by uid."""

    grace_s: float
    pods: tuple[str, ...]

    @property
    def verdict(self) -> Verdict:
        return Verdict(_REASON, _MESSAGE, self.grace_s, disrupts=True)


def turns(priorities: Mapping[str, int], graces: Iterable[Band]) -> list[Turn]:
    """Who ends when: priorities are those of pods by uid. What is below the lowest band is in it; a
    band without pods takes no time."""
    order = sorted(graces, key=lambda band: band.priority)
    members: dict[int, list[str]] = {place: [] for place in range(len(order))}
    for uid, priority in priorities.items():
        reached = [place for place, band in enumerate(order) if band.priority <= priority]
        members[reached[-1] if reached else 0].append(uid)
    return [Turn(order[place].grace_s, tuple(pods)) for place, pods in members.items() if pods]
