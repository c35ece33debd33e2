"""CSI volumes on each node, and how many its drivers can take (CSINode). Columns by driver.

Rules: pkg/scheduler/framework/plugins/nodevolumelimits/csi.go of Kubernetes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler.view.columns import Amounts, Mask
from longshore.machinery.scheduler.view.nodes import Nodes

NO_LIMIT = np.iinfo(np.int64).max
_PLENTY = 1 << 40


class Attachments:
    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self.needed: set[str] = set()
        """Drivers without which a node takes none of their volumes."""
        self._drivers: dict[str, frozenset[str]] = {}
        self._limits: dict[str, dict[str, int]] = {}
        self._attached: dict[str, dict[int, set[str]]] = {}
        self._driver_at: dict[tuple[int, str], str] = {}
        self._counts: dict[str, Amounts] = {}
        self._mosts: dict[str, Amounts] = {}
        self._shape = -1

    def put_node(self, name: str, drivers: Sequence[Doc]) -> None:
        """Note what the drivers of a node say that it takes."""
        limits = {
            one["name"]: int(one["allocatable"]["count"])
            for one in drivers
            if (one.get("allocatable") or {}).get("count") is not None
        }
        self._limits[name] = limits
        self._drivers[name] = frozenset(one["name"] for one in drivers)
        if not limits:
            del self._limits[name]
        if not drivers:
            del self._drivers[name]
        self._shape = -1

    def attach(self, row: int, key: str, driver: str) -> None:
        """Note that a claim's volume is on a row; again, or of another driver, is no matter."""
        before = self._driver_at.get((row, key), "")
        if before == driver:
            return
        self.detach(row, key)
        if driver:
            self._driver_at[row, key] = driver
            self._attached.setdefault(driver, {}).setdefault(row, set()).add(key)
            self._count(driver)[row] += 1

    def detach(self, row: int, key: str) -> None:
        driver = self._driver_at.pop((row, key), "")
        if driver:
            there = self._attached[driver][row]
            there.discard(key)
            if not there:
                del self._attached[driver][row]
            self._count(driver)[row] -= 1

    def missing(self, driver: str) -> Mask | None:
        """The rows without a driver that is needed; None if it is not (VolumeLimitScaling)."""
        if driver not in self.needed:
            return None
        mask = self._nodes.alive.copy()
        for name, there in self._drivers.items():
            if driver in there and (row := self._nodes.rows.get(name)) is not None:
                mask[row] = False
        return mask

    def over(self, driver: str, keys: Sequence[str]) -> Mask | None:
        """The rows that cannot take volumes of a driver for these claims besides what they have;
        None if no node says how many it takes."""
        most = self._most(driver)
        if most is None:
            return None
        size = self._nodes.size
        counts = self._count(driver)[:size]
        over = counts + len(keys) > most
        for row, there in self._attached.get(driver, {}).items():
            if over[row]:
                over[row] = len(there.union(keys)) > most[row]
        return over

    def spare(self, driver: str, keys: Sequence[str]) -> Amounts | None:
        """How many more volumes of a driver each row could take besides what it has and those of these
        claims; None if no node says how many it takes."""
        most = self._most(driver)
        if most is None:
            return None
        # Of rows without a limit so many that sums with it are still numbers of 64 bits.
        spare = np.minimum(most, _PLENTY) - self._count(driver)[: self._nodes.size] - len(keys)
        for row, there in self._attached.get(driver, {}).items():
            spare[row] += len(there.intersection(keys))
        return spare

    def _count(self, driver: str) -> Amounts:
        counts = self._counts.get(driver)
        if counts is None or len(counts) < self._nodes.size:
            grown = np.zeros(2 * self._nodes.size + 1, np.int64)
            if counts is not None:
                grown[: len(counts)] = counts
            counts = self._counts[driver] = grown
        return counts

    def _most(self, driver: str) -> Amounts | None:
        if self._shape != self._nodes.shape:
            self._shape = self._nodes.shape
            self._mosts.clear()
            for name, limits in self._limits.items():
                if (row := self._nodes.rows.get(name)) is not None:
                    for one, most in limits.items():
                        self._limit(one)[row] = most
        return self._mosts.get(driver)

    def _limit(self, driver: str) -> Amounts:
        if driver not in self._mosts:
            self._mosts[driver] = np.full(self._nodes.size, NO_LIMIT)
        return self._mosts[driver]
