"""Where each node is in the cluster's ranges: arithmetic on the addresses of base. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from longshore.base.addresses import LAN_RANGE, POD_RANGE

# Node 1 has 10.90.0.11. Below are the LAN's own addresses: its gateway, then the servers', then
# those of etcd's members.
_FIRST_NODE, _FIRST_SERVER, _FIRST_MEMBER = 10, 1, 5
SERVERS_MAX = 4
# Pod ranges are /24 slices of POD_RANGE, so there are 255 after slice 0, which stays unused.
NODES_MAX = 255


@dataclass(frozen=True, slots=True)
class HostNet:
    """The place on the LAN of somebody who has no pods: a server, or a member of etcd."""

    name: str
    lan_ip: str


@dataclass(frozen=True, slots=True)
class NodeNet(HostNet):
    """One node's place on the LAN: its address there, and the range its pods get."""

    pod_cidr: str

    @property
    def gateway(self) -> str:
        """The node's own address in its pods' range: the first of it."""
        return str(IPv4Network(self.pod_cidr)[1])


def node_net(name: str, number: int) -> NodeNet:
    """The place of node `number`, counted from 1. ValueError beyond NODES_MAX."""
    if not 1 <= number <= NODES_MAX:
        raise ValueError(f"node number {number} is not in 1..{NODES_MAX}")
    lan_ip = IPv4Network(LAN_RANGE)[_FIRST_NODE + number]
    slices = IPv4Network(POD_RANGE).network_address + number * 256
    return NodeNet(name, str(lan_ip), f"{slices}/24")


def server_net(name: str, number: int) -> HostNet:
    """The place of one of several servers, counted from 1."""
    assert 1 <= number <= SERVERS_MAX
    return HostNet(name, str(IPv4Network(LAN_RANGE)[_FIRST_SERVER + number]))


def member_net(name: str, number: int) -> HostNet:
    """The place of a member of etcd, counted from 1."""
    assert 1 <= number <= SERVERS_MAX
    return HostNet(name, str(IPv4Network(LAN_RANGE)[_FIRST_MEMBER + number]))


def lan_ip_of(pod_cidr: str) -> str:
    """The LAN address of the node that has this range of pod addresses."""
    number = int(IPv4Network(pod_cidr).network_address) - int(
        IPv4Network(POD_RANGE).network_address
    )
    return node_net("", number // 256).lan_ip


def lan_offset(lan_ip: str) -> int:
    """How far an address is into the LAN: what the LAN's link to that node is numbered by."""
    return int(IPv4Address(lan_ip)) - int(IPv4Network(LAN_RANGE).network_address)
