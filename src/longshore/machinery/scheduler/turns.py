"""What one turn of the scheduler decided, for somebody else to write."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from longshore.machinery.scheduler.pool import Pending
from longshore.machinery.scheduler.prebinding import Prepared
from longshore.machinery.scheduler.preemption.making import Victim


class Refusal(NamedTuple):
    """A pod that no node takes, and why. nominated: the node that is kept for it from now on, empty
    for none, None if that is as it was. tried: whether nodes were looked at just now."""

    pod: Pending
    message: str
    nominated: str | None = None
    tried: bool = True


class Evicted(NamedTuple):
    """A pod that has to go: the ClusterQueue takes back what it lent."""

    uid: str
    namespace: str
    name: str
    queue: str


class GroupNews(NamedTuple):
    """Whether as many pods of a PodGroup as must run together have nodes, and if not, why."""

    key: tuple[str, str]
    is_scheduled: bool
    why: str


@dataclass(frozen=True, slots=True)
class Turn:
    """Pods with their nodes; pods that no node takes; pods that have to go for some of those; pods
    for which a node is kept no more; pods whose volumes and devices are to be theirs first; those of them that
    wait for that in vain; pods that go for a queue; news of pod groups; claims of devices
    (namespace/name) that are taken back, each with the uid of its only user; and for each pod for which
    room was looked for, how many have to go."""

    bound: list[tuple[Pending, str]] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    victims: list[Victim] = field(default_factory=list)
    displaced: list[Pending] = field(default_factory=list)
    prepared: list[Prepared] = field(default_factory=list)
    in_vain: list[Prepared] = field(default_factory=list)
    evicted: list[Evicted] = field(default_factory=list)
    groups: list[GroupNews] = field(default_factory=list)
    unused: list[tuple[str, str]] = field(default_factory=list)
    sought: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        """How many pods were decided about."""
        return len(self.bound) + len(self.refused) + len(self.prepared)
