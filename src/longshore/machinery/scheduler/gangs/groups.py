"""Who belongs to which pod group, who of them has a node, and which groups can be tried. No I/O.

A pod names its group (spec.schedulingGroup.podGroupName). Of a group with the gang policy at least
minCount pods must have come before any is placed; then it is tried as a whole (plan.py). One that
no nodes take is parked until a change makes room. Source: KEP-4671, plugins/gangscheduling.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler.pool import Lot, Pending

GroupKey: TypeAlias = tuple[str, str]
"""Namespace and name of a PodGroup."""

TOO_FEW = "waiting for minCount pods from a gang to appear in scheduling queue"


@dataclass(slots=True)
class Group:
    """least: how many pods must run together, 0 for a group whose pods stand alone, None as long as
    there is no such PodGroup. waiting: those without a node, by uid. placed: uids of those with one.
    parked: no nodes take it as things are."""

    key: GroupKey
    least: int | None = None
    waiting: dict[str, Pending] = field(default_factory=dict)
    placed: set[str] = field(default_factory=set)
    parked: bool = False

    @property
    def needed(self) -> int:
        """How many more must get a node at once."""
        return max((self.least or 0) - len(self.placed), 0)

    @property
    def is_ready(self) -> bool:
        """Whether it may be tried."""
        if self.parked or self.least is None or not self.waiting:
            return False
        return len(self.waiting) >= self.needed

    @property
    def rank(self) -> tuple[int, int]:
        """The most urgent first, then the one that waits longest."""
        first = next(iter(self.waiting.values()))
        return -max(pod.priority for pod in self.waiting.values()), first.order


class Groups:
    """All pod groups that anybody speaks of."""

    def __init__(self) -> None:
        self._groups: dict[GroupKey, Group] = {}
        self._group_of: dict[str, GroupKey] = {}
        # Of all groups, those that may have become ready, and those that wait for room.
        self._changed: dict[GroupKey, None] = {}
        self._parked: dict[GroupKey, None] = {}

    def __contains__(self, uid: str) -> bool:
        return uid in self._group_of

    def get(self, uid: str) -> Pending | None:
        """A pod that waits for its group."""
        key = self._group_of.get(uid)
        return None if key is None else self._groups[key].waiting.get(uid)

    def hear(self, group: Doc, *, gone: bool) -> None:
        """Note a PodGroup as it is now. If it is gone, those who wait go on waiting, for another."""
        metadata = group["metadata"]
        known = self._group((metadata["namespace"], metadata["name"]))
        least = None if gone else _least(group)
        if least != known.least:
            known.least = least
            self.wake(known)
        self._tidy(known)

    @property
    def has_parked(self) -> bool:
        return bool(self._parked)

    @property
    def has_changed(self) -> bool:
        """Whether some may have become ready."""
        return bool(self._changed)

    def waiting(self) -> Iterator[str]:
        """The uids of all members without a node."""
        for group in self._groups.values():
            yield from group.waiting

    def of(self, uid: str) -> Group | None:
        """The group of a pod."""
        key = self._group_of.get(uid)
        return None if key is None else self._groups[key]

    def add(self, pod: Pending, name: str) -> str:
        """A pod without a node has come; why it has to wait, empty if its group can be tried."""
        group = self._group((pod.namespace, name))
        group.waiting[pod.uid] = pod
        self._group_of[pod.uid] = group.key
        self.wake(group)
        if group.least is None:
            return f'waiting for pods\'s pod group "{name}" to appear in scheduling queue'
        return "" if group.is_ready else TOO_FEW

    def place(self, uid: str, namespace: str, name: str) -> None:
        """A pod has a node."""
        group = self._group((namespace, name))
        group.waiting.pop(uid, None)
        group.placed.add(uid)
        self._group_of[uid] = group.key

    def forget(self, uid: str) -> None:
        """A pod is gone, or finished."""
        key = self._group_of.pop(uid, None)
        if key is None:
            return
        group = self._groups[key]
        group.waiting.pop(uid, None)
        group.placed.discard(uid)
        self._tidy(group)

    def ready(self) -> list[Group]:
        """Those to be tried, in the order of their rank. Each is asked for once: whoever tries one
        parks it, or leaves nobody waiting in it."""
        changed = [self._groups[key] for key in self._changed if key in self._groups]
        self._changed.clear()
        return sorted((g for g in changed if g.is_ready), key=lambda group: group.rank)

    def park(self, group: Group) -> None:
        """No nodes take it as things are."""
        group.parked = True
        self._parked[group.key] = None

    def unpark(self, group: Group) -> None:
        """It waits for no room."""
        group.parked = False
        self._parked.pop(group.key, None)

    def wake(self, group: Group) -> None:
        """It may be tried again."""
        self.unpark(group)
        self._changed[group.key] = None

    def wake_for(self, room: Callable[[Lot], int]) -> None:
        """Room was gained: wake those of whose pods it takes some."""
        for group in [self._groups[key] for key in self._parked]:
            if any(room(lot) for lot in {pod.lot for pod in group.waiting.values()}):
                self.wake(group)

    def wake_all(self) -> None:
        for key in list(self._parked):
            self.wake(self._groups[key])

    def _group(self, key: GroupKey) -> Group:
        return self._groups.setdefault(key, Group(key))

    def _tidy(self, group: Group) -> None:
        if group.least is None and not group.waiting and not group.placed:
            self._parked.pop(group.key, None)
            del self._groups[group.key]


def group_name(pod: Doc) -> str:
    """The PodGroup that a pod belongs to; empty if to none."""
    group = pod["spec"].get("schedulingGroup")
    return group.get("podGroupName") or "" if group else ""


def _least(group: Doc) -> int:
    gang = group["spec"]["schedulingPolicy"].get("gang") or {}
    return int(gang.get("minCount") or 0)
