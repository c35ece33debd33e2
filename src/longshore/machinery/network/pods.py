"""The pods of one node: a network namespace and an address each, some made ahead of their pods.

A pod's link is a veth pair straight into its node's namespace, with a /32 route and fixed hardware
addresses on both sides: no bridge, no ARP, and every packet between pods passes the node's
nftables, so a service works between pods of one node as well.

On disk, below the directory that is given:

    <directory>/10.42.1.7          the pod's network namespace, bound on a file named by its address
    <directory>/pods/<pod's uid>   a symbolic link that says which address the pod has

The symbolic link is there before attach returns and removed after the namespace is, so an
agent killed at any moment finds, in open(), every address that a pod may still use.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from longshore.base.clock import Clock
from longshore.machinery.network import namespaces
from longshore.machinery.network.allocation import Addresses
from longshore.machinery.network.errors import NetworkFailure
from longshore.machinery.network.netlink import (
    LOOPBACK,
    End,
    Message,
    Netlink,
    add_address,
    add_neighbour,
    add_route,
    add_veth,
    delete_link,
    set_up,
)
from longshore.machinery.network.ranges import NodeNet

T = TypeVar("T")

# Namespaces kept ready. Making one takes some 2 ms, so a burst is helped and idle costs little.
POOL_SIZE = 16
# A node that cannot make namespaces (limits, memory) is asked again after this long.
_RETRY_S = 1.0
_ETH0 = 2
# Clear of the indices that the kernel gives out by itself on a node with many links.
_LINKS_FROM = 0x1000_0000
# Locally administered; every node's ends may share one, since no two of them are on one link.
_NODE_MAC = "02:6c:73:00:00:01"
_POD_MAC = "02:6c:73:00:00:02"


@dataclass(frozen=True, slots=True)
class PodAddress:
    """Where a pod lives. netns is a path, empty for the node's own namespace."""

    netns: str
    ip: str


class PodNetwork:
    """Gives pods of one node their namespaces. run() keeps the pool filled; without it every
    attach makes its own. node_ns is a path, or empty if the process is inside already."""

    def __init__(
        self, node: NodeNet, directory: Path, clock: Clock, *,
        node_ns: str = "", pool_size: int = POOL_SIZE,
    ) -> None:  # fmt: skip
        self._node = node
        self._directory = directory
        self._records = directory / "pods"
        self._clock = clock
        self._pool_size = pool_size
        self._addresses = Addresses(node.pod_cidr)
        self._attached: dict[str, PodAddress] = {}
        self._pool: deque[str] = deque()
        self._low = asyncio.Event()
        # Namespaces are made by one thread, which lives in the node's: it must be one thread,
        # since the netlink socket is not shared and the kernel's lock would serialise more anyway.
        self._maker = _Maker(node, node_ns, directory)
        self._thread = ThreadPoolExecutor(1, "pod network")
        self._log = logging.getLogger("longshore.network.pods")
        self.detached: Callable[[str], object] = lambda uid: None
        """Told the uid of each pod that has no network any more, before its address is free."""

    @property
    def host(self) -> PodAddress:
        """Where a pod with hostNetwork lives."""
        return PodAddress("", self._node.lan_ip)

    async def open(self) -> None:
        """Set the node's side up and find the pods that an earlier life of the agent left;
        what is only half there is removed. Raises NetworkFailure."""
        self._records.mkdir(parents=True, exist_ok=True)
        alive = await self._in_thread(self._maker.open)
        for record in sorted(self._records.iterdir()):
            ip = os.readlink(record)
            # A name with a dot is a record that was not finished: nobody was told of it.
            if record.name[0] != "." and ip in alive and self._addresses.reserve(ip):
                alive.discard(ip)
                self._attached[record.name] = self._address(ip)
            else:
                record.unlink()
        for ip in alive:
            await self._in_thread(partial(self._maker.remove, ip))

    async def close(self) -> None:
        """Let go: the pods keep their network, unused namespaces of the pool end."""
        while self._pool:
            await self._discard(self._pool.popleft())
        await self._in_thread(self._maker.close)
        self._thread.shutdown()

    async def run(self) -> None:
        """Keep the pool filled until cancelled."""
        while True:
            self._low.clear()
            try:
                while len(self._pool) < self._pool_size:
                    self._pool.append(await self._make())
            except NetworkFailure as error:
                self._log.warning("no pod namespaces made ahead: %s", error)
                await self._clock.sleep(_RETRY_S)
                continue
            await self._low.wait()

    def attached(self) -> Mapping[str, PodAddress]:
        """The pods that have a network now, by uid."""
        return self._attached

    async def attach(self, pod_uid: str) -> PodAddress:
        """A namespace and an address for the pod, the same if asked again.

        Raises AddressesExhausted or another NetworkFailure; nothing is left of a failed try.
        """
        assert pod_uid.strip("."), pod_uid
        assert "/" not in pod_uid, pod_uid
        if known := self._attached.get(pod_uid):
            return known
        ip = self._pool.popleft() if self._pool else await self._make()
        self._low.set()
        if known := self._attached.get(pod_uid):
            self._pool.append(ip)
            return known
        self._record(pod_uid, ip)
        return self._attached[pod_uid]

    async def detach(self, pod_uid: str) -> None:
        """Take the pod's namespace and address away. Idempotent; after a failure, try again."""
        if (known := self._attached.pop(pod_uid, None)) is None:
            return
        try:
            await self._in_thread(partial(self._maker.remove, known.ip))
        except BaseException:
            self._attached.setdefault(pod_uid, known)
            raise
        record = self._records / pod_uid
        if os.readlink(record) == known.ip:
            record.unlink()
        self.detached(pod_uid)
        self._addresses.release(known.ip)

    def _record(self, pod_uid: str, ip: str) -> None:
        """Note whose address it is, on disk first. Replaces the record of a detach under way."""
        fresh = self._records / f".{pod_uid}"
        os.symlink(ip, fresh)
        os.replace(fresh, self._records / pod_uid)
        self._attached[pod_uid] = self._address(ip)

    def _address(self, ip: str) -> PodAddress:
        return PodAddress(str(self._directory / ip), ip)

    async def _make(self) -> str:
        ip = self._addresses.take()
        number = self._addresses.number(ip)
        try:
            await self._in_thread(partial(self._maker.make, ip, number))
        except BaseException:
            await asyncio.shield(self._discard(ip))
            raise
        return ip

    async def _discard(self, ip: str) -> None:
        await self._in_thread(partial(self._maker.remove, ip))
        self._addresses.release(ip)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


class _Maker:
    """The blocking half: every call comes from the one thread that lives in the node's namespace."""

    def __init__(self, node: NodeNet, node_ns: str, directory: Path) -> None:
        self._node = node
        self._node_ns = node_ns
        self._directory = directory
        self._kernel: Netlink | None = None
        self._home: int | None = None

    def open(self) -> set[str]:
        """Enter the node's namespace, set its side up, remove what is half there; the addresses
        whose namespace and link are whole."""
        namespaces.enter(self._node_ns)
        self._kernel = Netlink()
        self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        namespaces.set_sysctl("net/ipv4/ip_forward", "1")
        # The node's own clients reach ports of its pods on 127.0.0.1 too.
        namespaces.set_sysctl("net/ipv4/conf/all/route_localnet", "1")
        self._kernel.run([set_up(LOOPBACK), add_address(LOOPBACK, f"{self._node.gateway}/32")])
        linked = {link.name for link in self._kernel.links()}
        whole = set()
        for path in self._directory.iterdir():
            if path.is_dir():
                continue
            if link_name(path.name) in linked and namespaces.exists(path):
                whole.add(path.name)
            else:
                self.remove(path.name)
        return whole

    def close(self) -> None:
        if self._kernel is not None and self._home is not None:
            self._kernel.close()
            os.close(self._home)

    def make(self, ip: str, number: int) -> None:
        """One namespace, ready for a pod."""
        assert self._kernel is not None, "open() first"
        assert self._home is not None
        link = _LINKS_FROM + number
        # What an earlier pod of this address left, if the kernel has not ended its namespace yet.
        self._kernel.run([delete_link(link_name(ip))])
        with namespaces.made(self._directory / ip):
            with Netlink() as inside:
                inside.run(pod_side(ip, self._node.gateway, link, self._home))
            # As Docker and containerd do: ports below 1024 and ping need no privilege in a pod.
            namespaces.set_sysctl("net/ipv4/ip_unprivileged_port_start", "0")
            namespaces.set_sysctl("net/ipv4/ping_group_range", "0 2147483647")
        self._kernel.run(node_side(ip, link, self._node.gateway))

    def remove(self, ip: str) -> None:
        namespaces.delete(self._directory / ip)


def pod_side(ip: str, gateway: str, link: int, node_fd: int) -> list[Message]:
    """What is done inside a pod's namespace; `link` will be the index of the node's end."""
    here = End("eth0", _ETH0, _POD_MAC)
    return [
        set_up(LOOPBACK),
        add_veth(here, End(link_name(ip), link, _NODE_MAC), node_fd),
        add_address(_ETH0, f"{ip}/32"),
        add_neighbour(_ETH0, gateway, _NODE_MAC),
        add_route("0.0.0.0/0", index=_ETH0, gateway=gateway, onlink=True),
    ]


def node_side(ip: str, link: int, gateway: str) -> list[Message]:
    """What is done in the node's namespace once the pair is there."""
    return [
        set_up(link),
        add_neighbour(link, ip, _POD_MAC),
        add_route(f"{ip}/32", index=link, source=gateway),
    ]


def link_name(ip: str) -> str:
    """The node's end, named by the last half of the address: pods' ranges are no wider."""
    third, fourth = ip.split(".")[2:]
    return f"pod{third}.{fourth}"
