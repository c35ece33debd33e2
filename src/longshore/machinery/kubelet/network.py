"""What the kubelet asks of a network: an address and a namespace for a pod.

machinery/network has the real one; HollowNetwork only counts addresses, for nodes without any.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from longshore.core.objects.kinds import Doc
from longshore.machinery.network.errors import AddressesExhausted, NetworkFailure


class Attachment(Protocol):
    """A pod's place: the path of its network namespace and its address."""

    @property
    def netns(self) -> str: ...

    @property
    def ip(self) -> str: ...


class PodNetwork(Protocol):
    """Pod addresses of one node. attach and detach may be repeated without harm."""

    async def attach(self, pod_uid: str) -> Attachment: ...

    async def detach(self, pod_uid: str) -> None: ...

    def attached(self) -> Mapping[str, Attachment]: ...


class Guard(Protocol):
    """Who keeps from a pod what policies forbid it, and lets in what its ports on the node ask for."""

    async def admit(self, pod: Doc, ip: str) -> None:
        """Return once that is in force at the pod's address; asked again by an agent that starts anew.
        Raises NetworkFailure."""


async def admission_of(pod: Doc, ip: str, guard: Guard) -> NetworkFailure | None:
    """Have a pod admitted; a failure as a value. Who uses the node's own address is under no policy."""
    if not pod["spec"].get("hostNetwork"):
        try:
            await guard.admit(pod, ip)
        except NetworkFailure as error:
            return error
    return None


class Unguarded:
    """A node without network policies."""

    async def admit(self, pod: Doc, ip: str) -> None: ...


@dataclass(frozen=True, slots=True)
class HollowAddress:
    netns: str
    ip: str


class HollowNetwork:
    """Addresses of a range, with nothing behind them. Addresses go round before one is reused."""

    def __init__(self, pod_cidr: str) -> None:
        network = ipaddress.ip_network(pod_cidr)
        # The network's own address, the gateway's and the broadcast address are not given out.
        self._first = int(network.network_address) + 2
        self._count = network.num_addresses - 3
        assert self._count > 0, f"{pod_cidr} has no room for pods"
        self._next = 0
        self._taken: set[int] = set()
        self._attached: dict[str, Attachment] = {}

    async def attach(self, pod_uid: str) -> Attachment:
        if (known := self._attached.get(pod_uid)) is None:
            known = HollowAddress("", self.take())
            self._attached[pod_uid] = known
        return known

    async def detach(self, pod_uid: str) -> None:
        if (known := self._attached.pop(pod_uid, None)) is not None:
            self.give_back(known.ip)

    def attached(self) -> Mapping[str, Attachment]:
        return self._attached

    def take(self) -> str:
        """The next free address. Raises AddressesExhausted."""
        if len(self._taken) == self._count:
            raise AddressesExhausted(f"all {self._count} pod addresses of this node are taken")
        while self._next in self._taken:
            self._next = (self._next + 1) % self._count
        taken, self._next = self._next, (self._next + 1) % self._count
        self._taken.add(taken)
        return str(ipaddress.ip_address(self._first + taken))

    def give_back(self, address: str) -> None:
        self._taken.discard(int(ipaddress.ip_address(address)) - self._first)

    def reserve(self, address: str) -> None:
        """Take this very address (a pod had it before the agent started again)."""
        offset = int(ipaddress.ip_address(address)) - self._first
        if 0 <= offset < self._count:
            self._taken.add(offset)
