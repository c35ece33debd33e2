"""Domains: rows that share a value of a label, such as a zone, numbered for each key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from longshore.machinery.scheduler.view.columns import Amounts, Mask, Rows

# Keys whose domains are kept numbered; beyond that it begins anew.
_KEYS_MAX = 128


class Topology:
    """of: the number of each row's domain, 0 for none. alone: no two rows share a domain."""

    def __init__(self, by_value: Mapping[str, Iterable[int]], size: int) -> None:
        self.of: Rows = np.zeros(size, np.intp)
        self.alone = True
        for number, rows in enumerate(by_value.values(), 1):
            members = list(rows)
            self.of[members] = number
            self.alone = self.alone and len(members) < 2
        self.count = len(by_value)
        self.inside: Mask = self.of > 0
        self.everywhere = bool(self.inside.all())

    def sums(self, column: NDArray[np.generic]) -> Amounts:
        """The sum of a column in each domain, by number; those of no domain are under 0."""
        return np.bincount(self.of, weights=column, minlength=self.count + 1).astype(np.int64)

    def shared(self, column: Amounts) -> Amounts:
        """For each row the sum in its domain, 0 in none."""
        if self.alone:
            return column if self.everywhere else column * self.inside
        sums = self.sums(column)
        sums[0] = 0
        shared: Amounts = sums[self.of]
        return shared

    def present(self, among: Mask | Rows) -> Rows:
        """The numbers of the domains that have one of some rows."""
        there = np.zeros(self.count + 1, np.bool_)
        there[self.of[among]] = True
        there[0] = False
        return np.flatnonzero(there)


class Topologies:
    """The domains of each key that was asked for, until labels change."""

    def __init__(self) -> None:
        self._known: dict[str, Topology] = {}

    def of(self, key: str, by_value: Mapping[str, Iterable[int]], size: int) -> Topology:
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _KEYS_MAX:
                self._known.clear()
            found = self._known[key] = Topology(by_value, size)
        return found

    def forget(self) -> None:
        self._known.clear()
