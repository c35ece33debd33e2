"""Which ports of the hosts are in use, and which are free for those who do not care."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from longshore.core.objects.dynamic_ports import FIRST, LAST, Wanted
from longshore.machinery.scheduler.pods.ports import ANY_ADDRESS, Port
from longshore.machinery.scheduler.view.columns import Mask


class HostPorts:
    def __init__(self) -> None:
        self._addresses: dict[tuple[str, int], dict[int, Counter[str]]] = {}
        # How many of the dynamic range are in use, by row.
        self._in_range: Counter[int] = Counter()

    def add(self, row: int, ports: Sequence[Port], count: int) -> None:
        for protocol, address, port in ports:
            by_row = self._addresses.setdefault((protocol, port), {})
            was_free = row not in by_row
            addresses = by_row.setdefault(row, Counter())
            addresses[address] += count
            if not addresses[address]:
                del addresses[address]
            if not addresses:
                del by_row[row]
            if FIRST <= port <= LAST:
                self._in_range[row] += was_free - (row not in by_row)
                if not self._in_range[row]:
                    del self._in_range[row]

    def crowded(self, count: int) -> list[int]:
        """The rows that may not have so many dynamic ports left."""
        most = LAST + 1 - FIRST - count
        return [row for row, used in self._in_range.items() if used > most]

    def free(self, row: int, wanted: Sequence[Wanted], seed: int) -> dict[str, int] | None:
        """Free ports of a row for each name, none twice; None if there are too few. The seed says
        where the search begins, so that a port which was just left is not given again at once."""
        size = LAST + 1 - FIRST
        found: dict[str, int] = {}
        ahead = (FIRST + (seed + step) % size for step in range(size))
        for name, protocol in wanted:
            port = next(
                (p for p in ahead if row not in self._addresses.get((protocol, p), ())), None
            )
            if port is None:
                return None
            found[name] = port
        return found

    def taken(self, ports: Sequence[Port], size: int) -> Mask:
        """The rows where one of some ports is in use."""
        taken = np.zeros(size, np.bool_)
        for protocol, address, port in ports:
            for row, addresses in self._addresses.get((protocol, port), {}).items():
                everywhere = ANY_ADDRESS in (address, *addresses)
                taken[row] |= everywhere or address in addresses
        return taken
