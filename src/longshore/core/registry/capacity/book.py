"""The book of one node: what is taken of it, by whom, and whether there is room for one more. Pure,
and quick: it is asked at every binding."""

from __future__ import annotations

from typing import NamedTuple

from longshore.core.objects.dynamic_ports import PORTS
from longshore.core.objects.kinds import Doc
from longshore.core.objects.offers import NOTHING, Amounts, Holds
from longshore.core.objects.pod_requests import amounts_of, requests_of
from longshore.core.watch.stored import Stored


class Entry(NamedTuple):
    """What one pod has of the node. generation is that of the spec it was read from, None if its status
    counts too; offer is the one it was bound against, or empty."""

    amounts: Amounts
    generation: int | None
    offer: str = ""


def taken_by(spec: Doc) -> Amounts:
    """What a pod of a spec takes of its node."""
    return {"pods": 1, **requests_of(spec)}


class NodeBook:
    """Entries of pods by their key, holds of offers by their name, and the sum of all."""

    __slots__ = ("_allocatable", "_entries", "_holds", "_node", "_used")

    def __init__(self) -> None:
        self._node: Stored | None = None
        self._allocatable: Amounts = NOTHING
        self._entries: dict[str, Entry] = {}
        self._holds = Holds()
        self._used: dict[str, int] = {}

    def get(self, key: str) -> Entry | None:
        return self._entries.get(key)

    def of(self, node: Stored) -> None:
        """What the node has is what it says now."""
        if node is not self._node:
            status = node.doc.get("status") or {}
            self._allocatable = amounts_of(
                status.get("allocatable") or status.get("capacity") or {}
            )
            self._node = node

    def enter(self, key: str, entry: Entry) -> None:
        """Set what a pod has."""
        if key in self._entries:
            self.drop(key)
        self._entries[key] = entry
        self._count(entry.amounts, 1)
        if entry.offer:
            self._take(entry, 1)

    def drop(self, key: str) -> None:
        """What a pod has, if anything, is free."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._count(entry.amounts, -1)
            if entry.offer:
                self._take(entry, -1)

    def hold(self, offer: str, amounts: Amounts) -> None:
        """Set what an offer holds."""
        self._count(self._holds.left(offer), -1)
        self._holds.put(offer, amounts)
        self._count(self._holds.left(offer), 1)

    def release(self, offer: str) -> None:
        """What an offer still holds, if anything, is free."""
        self._count(self._holds.left(offer), -1)
        self._holds.drop(offer)

    def holds(self, offer: str) -> bool:
        return offer in self._holds

    def refusal(self, wanted: Amounts) -> str:
        """Why there is no room, for the first resource that is short; empty if there is. What the
        node tells nothing of is not judged: who hands it out counts it elsewhere. A port is there
        once, whatever a node says. (Words: pkg/kubelet/lifecycle, InsufficientResourceError.)"""
        used, allocatable = self._used, self._allocatable
        for name, value in wanted.items():
            taken, most = used.get(name, 0), allocatable.get(name)
            if most is None:
                if not name.startswith(PORTS):
                    continue
                most = 1
            if value and taken + value > most:
                return (
                    f"Node didn't have enough resource: {name}, "
                    f"requested: {value}, used: {taken}, capacity: {most}"
                )
        return ""

    def refusal_of(self, offer: str, wanted: Amounts) -> str:
        """Why an offer does not hold enough; empty if it does."""
        left = self._holds.left(offer)
        for name, value in wanted.items():
            if value > left.get(name, 0):
                return f"not enough {name}, requested: {value}, left: {left.get(name, 0)}"
        return ""

    def _take(self, entry: Entry, sign: int) -> None:
        self._count(self._holds.left(entry.offer), -1)
        self._holds.take(entry.offer, entry.amounts, sign)
        self._count(self._holds.left(entry.offer), 1)

    def _count(self, amounts: Amounts, sign: int) -> None:
        used = self._used
        for name, value in amounts.items():
            used[name] = used.get(name, 0) + sign * value
