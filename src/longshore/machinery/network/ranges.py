"""Where each node is in the cluster's ranges: arithmetic on the addresses of base. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from longshore.base.addresses import LAN_RANGE, POD_RANGE

# Node 1 has 10.90.0.11: the addresses below are left to the LAN's own needs.
_FIRST_NODE = 10
# Pod ranges are /24 slices of POD_RANGE, so there are 255 after slice 0, which stays unused.
NODES_MAX = 255


@dataclass(frozen=True, slots=True)
class NodeNet:
    """One node's place on the LAN: its address there, and the range its pods get."""

    name: str
    lan_ip: str
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


def lan_ip_of(pod_cidr: str) -> str:
    """The LAN address of the node that has this range of pod addresses."""
    number = int(IPv4Network(pod_cidr).network_address) - int(
        IPv4Network(POD_RANGE).network_address
    )
    return node_net("", number // 256).lan_ip


def lan_offset(lan_ip: str) -> int:
    """How far an address is into the LAN: what the LAN's link to that node is numbered by."""
    return int(IPv4Address(lan_ip)) - int(IPv4Network(LAN_RANGE).network_address)
