"""What the pods of one node were given, and whether there is room for more. No I/O.

Amounts are as pod_requests counts them (cpu in thousandths, all else whole). A sum is kept, so that a pod
costs what it asks for, however many there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from longshore.core.objects.kinds import Doc
from longshore.core.objects.pod_requests import requests_of


@dataclass(frozen=True, slots=True)
class Shortage:
    """The first resource of which there is not enough (pkg/kubelet/lifecycle: InsufficientResourceError)."""

    resource: str
    requested: int
    used: int
    capacity: int

    def __str__(self) -> str:
        return (
            f"Node didn't have enough resource: {self.resource}, requested: {self.requested}, "
            f"used: {self.used}, capacity: {self.capacity}"
        )


class Room:
    """By the uid of pods."""

    __slots__ = ("_given", "_used")

    def __init__(self) -> None:
        self._given: dict[str, Mapping[str, int]] = {}
        self._used: dict[str, int] = {}

    def __contains__(self, uid: str) -> bool:
        return uid in self._given

    def give(self, uid: str, spec: Doc) -> None:
        """A pod has what its spec asks for, and no more what it had."""
        self.take_back(uid)
        self._given[uid] = given = _asked(spec)
        for name, value in given.items():
            self._used[name] = self._used.get(name, 0) + value

    def take_back(self, uid: str) -> bool:
        """A pod needs nothing any more; whether it had something."""
        given = self._given.pop(uid, None)
        for name, value in (given or {}).items():
            self._used[name] -= value
        return given is not None

    def shortage(self, uid: str, spec: Doc, allocatable: Mapping[str, int]) -> Shortage | None:
        """What is short, if the pod were to have what a spec asks for instead of what it has. What the
        node says nothing of is not judged: who hands it out counts it elsewhere."""
        own = self._given.get(uid, {})
        for name, value in _asked(spec).items():
            most, used = allocatable.get(name), self._used.get(name, 0) - own.get(name, 0)
            if most is not None and value and used + value > most:
                return Shortage(name, value, used, most)
        return None


def _asked(spec: Doc) -> Mapping[str, int]:
    return _shared(("pods", 1), *requests_of(spec).items())


@lru_cache(maxsize=1024)
def _shared(*amounts: tuple[str, int]) -> Mapping[str, int]:
    """One for all pods that ask for the same."""
    return MappingProxyType(dict(amounts))
