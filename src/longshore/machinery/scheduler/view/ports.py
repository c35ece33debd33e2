"""Which ports of the hosts are in use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from longshore.machinery.scheduler.pods.ports import ANY_ADDRESS, Port
from longshore.machinery.scheduler.view.columns import Mask


class HostPorts:
    def __init__(self) -> None:
        self._addresses: dict[tuple[str, int], dict[int, Counter[str]]] = {}

    def add(self, row: int, ports: Sequence[Port], count: int) -> None:
        for protocol, address, port in ports:
            by_row = self._addresses.setdefault((protocol, port), {})
            addresses = by_row.setdefault(row, Counter())
            addresses[address] += count
            if not addresses[address]:
                del addresses[address]
            if not addresses:
                del by_row[row]

    def taken(self, ports: Sequence[Port], size: int) -> Mask:
        """The rows where one of some ports is in use."""
        taken = np.zeros(size, np.bool_)
        for protocol, address, port in ports:
            for row, addresses in self._addresses.get((protocol, port), {}).items():
                everywhere = ANY_ADDRESS in (address, *addresses)
                taken[row] |= everywhere or address in addresses
        return taken
