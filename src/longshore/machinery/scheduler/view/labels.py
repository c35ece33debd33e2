"""Which rows have which labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from longshore.core.objects.selectors import Requirement
from longshore.machinery.scheduler.view.columns import Mask


class LabelIndex:
    """Rows by key and value."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, set[int]]] = {}

    def add(self, row: int, labels: Mapping[str, str]) -> None:
        for key, value in labels.items():
            self._rows.setdefault(key, {}).setdefault(value, set()).add(row)

    def remove(self, row: int, labels: Mapping[str, str]) -> None:
        for key, value in labels.items():
            by_value = self._rows[key]
            by_value[value].discard(row)
            if not by_value[value]:
                del by_value[value]

    def having(self, key: str) -> Mapping[str, Iterable[int]]:
        """The rows that have a key, by value."""
        return self._rows.get(key, {})

    def meeting(self, requirements: Sequence[Requirement], alive: Mask) -> Mask:
        """The rows, among those that are alive, whose labels meet all requirements."""
        mask = alive.copy()
        for one in requirements:
            mask &= self._meeting(one, len(alive))
        return mask

    def _meeting(self, one: Requirement, size: int) -> Mask:
        by_value = self._rows.get(one.key, {})
        if one.operator in ("in", "notin"):
            values = [value for value in one.values if value in by_value]
        elif one.operator == "!":
            values = list(by_value)
        else:
            values = [value for value in by_value if one.matches({one.key: value})]
        mask = np.zeros(size, np.bool_)
        for value in values:
            mask[list(by_value[value])] = True
        return ~mask if one.operator in ("notin", "!") else mask
