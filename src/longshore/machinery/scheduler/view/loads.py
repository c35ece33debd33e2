"""What nodes have and what is taken of it, in columns of 64 bits.

cpu in millis, memory and storage in bytes, all else in whole units. What is taken is exactly the
sum of the pods that were added, so that taking them away restores it.
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
    Scores,
)  # fmt: skip

# Changes that are told one by one; who has heard of none of the last so many looks at all rows.
JOURNAL_MAX = 65_536


class Loads:
    """Columns are as long as there is room for rows; the view cuts them. scored: cpu and memory in
    use as scores count them. parts: the reciprocal of what there is, 0 where there is none."""

    def __init__(self, room: int) -> None:
        self.resources: dict[str, int] = {
            "cpu": CPU,
            "memory": MEMORY,
            "pods": PODS,
            "ephemeral-storage": STORAGE,
        }
        self.allocatable: Amounts = np.zeros((4, room), np.int64)
        self.used: Amounts = np.zeros((4, room), np.int64)
        self.free: Amounts = np.zeros((4, room), np.int64)
        self.scored: Amounts = np.zeros((2, room), np.int64)
        self.parts: Scores = np.zeros((4, room))
        self.journal: list[int] = []
        """Rows in the order in which they changed, since the epoch began."""
        self.epoch = 0

    def grow(self) -> None:
        """Twice the room."""
        for name in ("allocatable", "used", "free", "scored", "parts"):
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.zeros_like(column)], axis=1))

    def column(self, resource: str) -> int:
        """The column of a resource; a new one for a resource seen the first time."""
        column = self.resources.get(resource)
        if column is None:
            column = self.resources[resource] = len(self.resources)
            for name in ("allocatable", "used", "free", "parts"):
                old = getattr(self, name)
                setattr(self, name, np.concatenate([old, np.zeros_like(old[:1])]))
        return column

    def set_allocatable(self, row: int, amounts: Mapping[str, Any]) -> None:
        for name in amounts:
            self.column(name)
        self.allocatable[:, row] = 0
        for name, text in amounts.items():
            self.allocatable[self.resources[name], row] = capacity(name, text)
        has = self.allocatable[:, row]
        self.free[:, row] = has - self.used[:, row]
        self.parts[:, row] = np.divide(1.0, has, out=np.zeros(len(has)), where=has > 0)
        self._note(row)

    def add(self, row: int, pod_class: PodClass, count: int) -> None:
        """Pods of a class come to a row, or with a negative count leave it."""
        self._take(PODS, row, count)
        for name, value in pod_class.requests.items():
            self._take(self.resources.get(name, -1), row, count * value, name)
        cpu, memory = pod_class.scored
        self.scored[0, row] += count * cpu
        self.scored[1, row] += count * memory
        self._note(row)

    def _take(self, column: int, row: int, amount: int, name: str = "") -> None:
        if column < 0:
            column = self.column(name)
        self.used[column, row] += amount
        self.free[column, row] -= amount

    def _note(self, row: int) -> None:
        if len(self.journal) >= JOURNAL_MAX:
            self.journal.clear()
            self.epoch += 1
        self.journal.append(row)
