"""The book of one node: what is taken of it, by whom, and whether there is room for one more. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from longshore.core.objects.kinds import Doc
from longshore.core.objects.pod_requests import requests_of

Amounts: TypeAlias = Mapping[str, int]
"""By resource: cpu in millis, the rest in whole units, "pods" among them."""


class Entry(NamedTuple):
    """What one key has of the node. generation is that of the spec it was read from."""

    amounts: Amounts
    generation: int


def taken_by(spec: Doc) -> Amounts:
    """What a pod of a spec takes of its node."""
    return {"pods": 1, **requests_of(spec)}


class NodeBook:
    """Entries by the key of who has them, and their sum."""

    __slots__ = ("_entries", "_used")

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._used: dict[str, int] = {}

    def get(self, key: str) -> Entry | None:
        return self._entries.get(key)

    def enter(self, key: str, entry: Entry) -> None:
        """Set what a key has."""
        self.drop(key)
        self._entries[key] = entry
        self._count(entry.amounts, 1)

    def drop(self, key: str) -> None:
        """What a key has, if anything, is free."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._count(entry.amounts, -1)

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

    def _count(self, amounts: Amounts, sign: int) -> None:
        used = self._used
        for name, value in amounts.items():
            used[name] = used.get(name, 0) + sign * value
