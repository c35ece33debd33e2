"""What nodes have and what is taken of it, in columns.

cpu in millis, memory and storage in bytes, all else in whole units. What is taken is exactly the sum
of the pods that were added, so that taking them away restores it: amounts are bounded so that sums of
them are exact as floating point numbers too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.pods.requests import capacity
from longshore.machinery.scheduler.view.columns import (
    CPU,
    MEMORY,
    PODS,
    STORAGE,
    Amounts,
    Rows,
    Scores,
)  # fmt: skip

# Changes that are told one by one; who has heard of none of the last so many looks at all rows.
JOURNAL_MAX = 65_536
# Loads of pods of which it is known what they add to which column.
_KNOWN_MAX = 4096
_COLUMNS = ("allocatable", "free", "taken", "parts")
# taken and parts begin with cpu and memory as scores count them; then they have a line a resource.
SCORED = 2


class Loads:
    """One line a resource, as long as there is room for rows; the view cuts them. taken: in use,
    after SCORED lines as scores count it. parts: the reciprocal of what there is, 0 where there is
    none, in the same lines as taken."""

    def __init__(self, room: int) -> None:
        self.resources: dict[str, int] = {
            "cpu": CPU,
            "memory": MEMORY,
            "pods": PODS,
            "ephemeral-storage": STORAGE,
        }
        self.allocatable: Amounts = np.zeros((4, room), np.int64)
        self.free: Amounts = np.zeros((4, room), np.int64)
        self.taken: Scores = np.zeros((SCORED + 4, room))
        self.parts: Scores = np.zeros((SCORED + 4, room))
        self.journal: Rows = np.zeros(JOURNAL_MAX, np.intp)
        """Rows in the order in which they changed, since the epoch began: the first so many entries
        that told says."""
        self.told = 0
        self.epoch = 0
        self.edition = 0
        """Counts changes of which resources there are, and of which nodes have some of each."""
        self._known: dict[object, tuple[Amounts, Scores]] = {}

    def grow(self) -> None:
        """Twice the room."""
        for name in _COLUMNS:
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.zeros_like(column)], axis=1))

    def column(self, resource: str) -> int:
        """The column of a resource; a new one for a resource seen the first time."""
        column = self.resources.get(resource)
        if column is None:
            column = self.resources[resource] = len(self.resources)
            for name in _COLUMNS:
                old = getattr(self, name)
                setattr(self, name, np.concatenate([old, np.zeros_like(old[:1])]))
            self._known.clear()
            self.edition += 1
        return column

    def set_allocatable(self, row: int, amounts: Mapping[str, Any]) -> None:
        for name in amounts:
            self.column(name)
        before = self.allocatable[:, row].copy()
        self.allocatable[:, row] = 0
        for name, text in amounts.items():
            self.allocatable[self.resources[name], row] = capacity(name, text)
        has = self.allocatable[:, row]
        self.free[:, row] += has - before
        self.edition += bool(((has > 0) != (before > 0)).any())
        parts = np.divide(1.0, has, out=np.zeros(len(has)), where=has > 0)
        self.parts[:, row] = parts[[CPU, MEMORY, *range(len(has))]]
        self._note(row)

    def add(self, row: int, pod_class: PodClass, count: int) -> None:
        """Pods of a class come to a row, or with a negative count leave it."""
        amounts, taken = self._amounts(pod_class)
        if count != 1:
            amounts, taken = amounts * count, taken * count
        self.free[:, row] -= amounts
        self.taken[:, row] += taken
        self._note(row)

    def add_many(self, rows: Rows, counts: Amounts, pod_class: PodClass) -> None:
        """add() for many different rows."""
        amounts, taken = self._amounts(pod_class)
        for line in np.flatnonzero(amounts).tolist():
            self.free[line, rows] -= counts * amounts[line]
        for line in np.flatnonzero(taken).tolist():
            self.taken[line, rows] += counts * taken[line]
        if self.told + len(rows) > JOURNAL_MAX:
            self._begin_epoch()
            return
        self.journal[self.told : self.told + len(rows)] = rows
        self.told += len(rows)

    def _amounts(self, pod_class: PodClass) -> tuple[Amounts, Scores]:
        """What one pod takes of each resource; and the same in the lines of taken."""
        found = self._known.get(pod_class.load)
        if found is None:
            if len(self._known) >= _KNOWN_MAX:
                self._known.clear()
            at = {self.column(name): value for name, value in pod_class.requests.items()}
            amounts = np.zeros(len(self.resources), np.int64)
            amounts[[PODS, *at]] = [1, *at.values()]
            taken = np.array([*pod_class.scored, *amounts.tolist()], np.float64)
            found = self._known[pod_class.load] = (amounts, taken)
        return found

    def _note(self, row: int) -> None:
        if self.told == JOURNAL_MAX:
            self._begin_epoch()
        self.journal[self.told] = row
        self.told += 1

    def _begin_epoch(self) -> None:
        """All rows may have changed."""
        self.told = 0
        self.epoch += 1
