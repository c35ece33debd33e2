"""Which way packets take to the pods of other machines. Pure: documents and addresses in, requests to
the kernel out.

A machine on a network of one's own is the gateway to its pods itself (host-gw). Any other one is
reached through a VXLAN (RFC 7348) in which nothing is learnt or asked: a machine's hardware address
there follows from its range of pod addresses, and who has which range is what the cluster says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, ip_interface

from longshore.base.addresses import POD_RANGE
from longshore.core.objects.kinds import Doc
from longshore.machinery.network.netlink import (
    Link,
    Message,
    Overlay,
    Route,
    add_forward,
    add_neighbour,
    add_route,
    add_vxlan,
    delete_forward,
    delete_route,
)
from longshore.machinery.network.ranges import NodeNet

VXLAN = "longshore.vx"
VXLAN_INDEX = 0x0FFF_0001
# Any number does that nobody else uses on that port; the port is the kernel's own default.
_NUMBER, _PORT = 1042, 8472
# What the headers of a VXLAN take of a packet: IPv4, UDP, VXLAN and the inner Ethernet.
_OVERHEAD_BYTES = 50
_MTU_MIN, _MTU_DEFAULT = 1280, 1500


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another machine: its address, and the range of its pods."""

    address: str
    pod_cidr: str

    @property
    def gateway(self) -> str:
        """Its own address in its pods' range."""
        return str(IPv4Network(self.pod_cidr)[1])


def neighbour_of(node: Doc) -> Neighbour | None:
    """What a Node or NodePeer says; None for one that has no pods yet, or no IPv4 address."""
    cidr = (node.get("spec") or {}).get("podCIDR") or ""
    for one in (node.get("status") or {}).get("addresses") or ():
        if one["type"] == "InternalIP" and "." in one["address"] and "." in cidr:
            return Neighbour(one["address"], cidr)
    return None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a machine is plugged into: its links, and their addresses as (index, 10.0.0.5/24)."""

    links: Sequence[Link]
    addresses: Sequence[tuple[int, str]]

    def is_near(self, address: str) -> bool:
        """Whether it is on one of the machine's own networks, apart from point-to-point links."""
        sought = IPv4Address(address)
        networks = (ip_interface(one).network for _, one in self.addresses)
        return any(one.prefixlen < 31 and sought in one for one in networks)

    def mtu(self, address: str) -> int:
        """How large a packet may be that leaves the link which has that address."""
        indices = [index for index, one in self.addresses if one.partition("/")[0] == address]
        found = [link.mtu for link in self.links if link.index in indices]
        return max(found[0] if found else _MTU_DEFAULT, _MTU_MIN + _OVERHEAD_BYTES)


def ways_to(
    new: Iterable[Neighbour], own: NodeNet, around: Surroundings
) -> tuple[list[Message], list[Message]]:
    """What makes the ways to those machines, whatever was there: those to near ones, then all that the
    others take."""
    near, far = [], []
    for one in new:
        if around.is_near(one.address):
            near.append(add_route(one.pod_cidr, gateway=one.address))
        else:
            far += _tunnel(one, own)
    if far:
        overlay = Overlay(_NUMBER, own.lan_ip, _PORT)
        mtu = around.mtu(own.lan_ip) - _OVERHEAD_BYTES
        far.insert(0, add_vxlan(VXLAN, VXLAN_INDEX, mtu, hardware_address(own.pod_cidr), overlay))
    return near, far


def _tunnel(one: Neighbour, own: NodeNet) -> list[Message]:
    """What the machine sends itself goes under its address in its pods' range, which the other one
    finds the way back to."""
    lladdr = hardware_address(one.pod_cidr)
    return [
        add_forward(VXLAN_INDEX, lladdr, one.address),
        add_neighbour(VXLAN_INDEX, one.gateway, lladdr),
        add_route(
            one.pod_cidr, index=VXLAN_INDEX, gateway=one.gateway, source=own.gateway, onlink=True
        ),
    ]


def forgotten(
    old: Iterable[Neighbour], new: Iterable[Neighbour], around: Surroundings
) -> list[Message]:
    """What takes the ways to machines back that are gone or elsewhere now."""
    kept = set(new)
    served = {one.pod_cidr for one in kept}
    messages = []
    for one in set(old) - kept:
        if one.pod_cidr not in served:
            messages.append(delete_route(one.pod_cidr))
        if any(link.index == VXLAN_INDEX for link in around.links):
            lladdr = hardware_address(one.pod_cidr)
            messages.append(delete_forward(VXLAN_INDEX, lladdr, one.address))
    return messages


def stale(routes: Iterable[Route], wanted: Iterable[Neighbour]) -> list[Message]:
    """What removes the routes of an earlier life to machines that nobody knows any more."""
    pods, served = IPv4Network(POD_RANGE), {one.pod_cidr for one in wanted}
    return [
        delete_route(route.destination)
        for route in routes
        if route.gateway
        and route.destination not in served
        and _is_below(IPv4Network(route.destination), pods)
    ]


def _is_below(inner: IPv4Network, outer: IPv4Network) -> bool:
    return inner.prefixlen > outer.prefixlen and inner.subnet_of(outer)


def hardware_address(pod_cidr: str) -> str:
    """A locally administered address that no other machine of the cluster has on the VXLAN."""
    octets = IPv4Network(pod_cidr).network_address.packed
    return ":".join(f"{octet:02x}" for octet in (0x02, 0x6C, *octets))


def known_of(docs: Iterable[Doc], own: str) -> dict[str, Neighbour]:
    """The other machines, by the names of their nodes."""
    found = {doc["metadata"]["name"]: neighbour_of(doc) for doc in docs}
    return {name: one for name, one in found.items() if one is not None and name != own}


def changed(known: Mapping[str, Neighbour], name: str, node: Doc | None) -> dict[str, Neighbour]:
    """What is known after a change of one node, None if it is gone."""
    rest = {other: one for other, one in known.items() if other != name}
    one = None if node is None else neighbour_of(node)
    return rest if one is None else {**rest, name: one}
