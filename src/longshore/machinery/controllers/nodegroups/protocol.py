"""Whom the autoscaler of nodes works with: a provider, who has machines, and a trial, in which the
scheduler's own rules say what would fit where. Both are handed in by whoever puts a server together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from longshore.core.objects.kinds import Doc


class ProviderFailure(Exception):
    """A provider could not do what was asked; the message says why."""


@dataclass(frozen=True, slots=True)
class NodeGroup:
    """Machines that are alike. nodes are the names of all that were asked for, those that do not run
    yet too; a machine's Node has its name."""

    name: str
    min_size: int
    max_size: int
    nodes: tuple[str, ...]

    @property
    def size(self) -> int:
        return len(self.nodes)


class Provider(Protocol):
    """Who has machines (cluster-autoscaler/cloudprovider, CloudProvider and NodeGroup)."""

    async def groups(self) -> Sequence[NodeGroup]:
        """All groups, as they are now. Raises ProviderFailure."""

    async def increase(self, group: str, count: int) -> None:
        """Ask for so many machines more; they need not run yet. Raises ProviderFailure."""

    async def delete(self, nodes: Sequence[str]) -> None:
        """End machines and forget them; those that are gone already are no error. Their Nodes are not
        the provider's. Raises ProviderFailure."""

    def template(self, group: str) -> Doc | None:
        """A Node as the next one of a group would be, with labels, taints and allocatable amounts;
        None if that is not known."""


@dataclass(frozen=True, slots=True)
class Packing:
    """So many new nodes take these pods (uids)."""

    nodes: int
    pods: frozenset[str]


class Trial(Protocol):
    """The cluster at one moment, on which placements are tried. Nothing of it is written."""

    def add(self, template: Doc, name: str) -> None:
        """A node that is on its way; with the pods of DaemonSets that it would get."""

    def place(self, pods: Sequence[Doc]) -> set[str]:
        """Give pods places; uids of those that got one. They keep it."""

    def pack(self, template: Doc, pods: Sequence[Doc], most: int) -> Packing:
        """How many nodes like this, at most so many, take how many of the pods. The trial is as it
        was."""

    def objections(self, template: Doc, pod: Doc) -> list[str]:
        """Why a new node like this would not take a pod, in the scheduler's words."""

    def vacate(self, node: str, pods: Sequence[Doc]) -> bool:
        """Whether these pods of a node all find places elsewhere. If so, they have them, and the node
        is gone; else the trial is as it was."""


Look: TypeAlias = Callable[[Sequence[Doc]], Awaitable[Trial]]
"""A trial of the cluster as it is now; given are the pods that will be asked about."""

Evict: TypeAlias = Callable[[str, str, str, int], Awaitable[None]]
"""Ask a pod to go (namespace, name, uid, grace in seconds), as its budgets allow. Raises
TooManyRequests while one keeps it, NotFound, Conflict."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What is handed in."""

    provider: Provider
    look: Look
    evict: Evict
