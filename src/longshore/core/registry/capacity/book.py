"""The book of one node: what is taken of it, by whom, and whether there is room for one more. Pure."""

from __future__ import annotations

from typing import NamedTuple

from longshore.core.objects.kinds import Doc
from longshore.core.objects.offers import Amounts, Holds
from longshore.core.objects.pod_requests import requests_of


class Entry(NamedTuple):
    """What one pod has of the node. generation is that of the spec it was read from; offer is the
    one it was bound against, or empty."""

    amounts: Amounts
    generation: int
    offer: str = ""


def taken_by(spec: Doc) -> Amounts:
    """What a pod of a spec takes of its node."""
    return {"pods": 1, **requests_of(spec)}


class NodeBook:
    """Entries of pods by their key, holds of offers by their name, and the sum of all."""

    __slots__ = ("_entries", "_holds", "_used")

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._holds = Holds()
        self._used: dict[str, int] = {}

    def get(self, key: str) -> Entry | None:
        return self._entries.get(key)

    def enter(self, key: str, entry: Entry) -> None:
        """Set what a pod has."""
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

    def refusal(self, wanted: Amounts, allocatable: Amounts) -> str:
        """Why there is no room, for the first resource that is short; empty if there is.
        (Words: pkg/kubelet/lifecycle, InsufficientResourceError.)"""
        used = self._used
        for name, value in wanted.items():
            taken, most = used.get(name, 0), allocatable.get(name, 0)
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
