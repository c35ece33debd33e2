"""Small numbers for things that come and go, so that columns can tell them apart."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

import numpy as np

from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.view.columns import Amounts

T = TypeVar("T", bound=Hashable)


class Numbers(Generic[T]):
    """A thing's number is its own while anybody uses it, and may stand for another later.
    edition grows whenever a number stands for something new."""

    def __init__(self) -> None:
        self.edition = 0
        self._things: list[T | None] = []
        self._numbers: dict[T, int] = {}
        self._users: list[int] = []
        self._unused: list[int] = []

    def __len__(self) -> int:
        """One more than the greatest number ever given."""
        return len(self._things)

    def __iter__(self) -> Iterator[tuple[int, T]]:
        """The numbers in use, each with what it stands for."""
        return ((number, thing) for thing, number in self._numbers.items())

    def take(self, thing: T) -> int:
        number = self._numbers.get(thing)
        if number is None:
            number = self._numbers[thing] = self._new(thing)
        self._users[number] += 1
        return number

    def give_back(self, number: int) -> None:
        self._users[number] -= 1
        if not self._users[number]:
            thing = self._things[number]
            assert thing is not None, number
            del self._numbers[thing]
            self._things[number] = None
            self._unused.append(number)

    def _new(self, thing: T) -> int:
        self.edition += 1
        if self._unused:
            number = self._unused.pop()
            self._things[number] = thing
            return number
        self._things.append(thing)
        self._users.append(0)
        return len(self._things) - 1


class Classes(Numbers[PodClass]):
    """Numbers of classes, and what a pod of each requests."""

    def __init__(self) -> None:
        super().__init__()
        self._requests: dict[str, Amounts] = {}

    def take(self, thing: PodClass) -> int:
        edition = self.edition
        number = super().take(thing)
        if edition != self.edition:
            self._note(number, thing)
        return number

    def requests(self, resource: str) -> Amounts:
        """What a pod of each class requests of a resource, by number."""
        column = self._requests.get(resource)
        return np.zeros(len(self), np.int64) if column is None else column[: len(self)]

    def _note(self, number: int, pod_class: PodClass) -> None:
        for resource in pod_class.requests:
            self._requests.setdefault(resource, np.zeros(64, np.int64))
        for resource, column in self._requests.items():
            if number >= len(column):
                column = np.concatenate([column, np.zeros(number + 1, np.int64)])
                self._requests[resource] = column
            column[number] = pod_class.requests.get(resource, 0)
