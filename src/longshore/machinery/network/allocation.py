"""Which pod address comes next. Pure.

Addresses go round: one that was given back is not handed out again before every other free one has
been, so a client that still holds an old pod's address does not meet a stranger soon.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from longshore.machinery.network.errors import AddressesExhausted


class Addresses:
    """The pod addresses of one node: its range without network, gateway and broadcast address."""

    def __init__(self, cidr: str) -> None:
        network = IPv4Network(cidr)
        self._cidr = cidr
        self._first = int(network.network_address) + 2
        self._count = network.num_addresses - 3
        if self._count < 1:
            raise ValueError(f"{cidr} has no room for pods")
        self._taken: set[int] = set()
        self._next = 0

    def __len__(self) -> int:
        """How many are taken."""
        return len(self._taken)

    def take(self) -> str:
        """The next free address. Raises AddressesExhausted."""
        if len(self._taken) == self._count:
            raise AddressesExhausted(
                f"the node's pod range {self._cidr} is used up: "
                f"{self._count} of {self._count} addresses are taken"
            )
        while self._next in self._taken:
            self._next = (self._next + 1) % self._count
        taken = self._next
        self._taken.add(taken)
        self._next = (taken + 1) % self._count
        return str(IPv4Address(self._first + taken))

    def reserve(self, address: str) -> bool:
        """Take this very address, which an earlier life of the agent gave out; False if it is
        taken already or not of this range."""
        offset = self._offset(address)
        if offset in self._taken or not 0 <= offset < self._count:
            return False
        self._taken.add(offset)
        self._next = max(self._next, (offset + 1) % self._count)
        return True

    def release(self, address: str) -> None:
        """Give an address back. Idempotent."""
        self._taken.discard(self._offset(address))

    def number(self, address: str) -> int:
        """The address as a small number, unique on the node: what its link is numbered by."""
        return self._offset(address) + 2

    def _offset(self, address: str) -> int:
        return int(IPv4Address(address)) - self._first
