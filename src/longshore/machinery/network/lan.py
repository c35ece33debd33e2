"""A cluster's LAN on one machine: a namespace with a bridge, and one namespace for every node.

    <directory>/lan         bridge lan0 with 10.90.0.1, a veth to every node, routes to its pods
    <directory>/<node>      eth0 on that bridge, routes to the other nodes' pods
    <directory>/<host>      the same for one without pods: a server of several, a member of etcd
    <directory>/...         what nodes put below (their pods' namespaces); tear_down takes it along

Everything is made from inside these namespaces, so the machine's own sees no link, address, route
or rule. Every step may be repeated: a build that was killed at any moment is finished by the next
build, or removed by tear_down. Blocking (a few milliseconds a node); call it in a thread.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from longshore.base.addresses import LAN_GATEWAY, LAN_RANGE
from longshore.machinery.network import namespaces
from longshore.machinery.network.netlink import (
    LOOPBACK,
    End,
    Message,
    Netlink,
    add_address,
    add_bridge,
    add_route,
    add_veth,
    delete_link,
    delete_route,
    set_up,
)
from longshore.machinery.network.ranges import HostNet, NodeNet, lan_offset

LAN = "lan"
_BRIDGE = 2
_ETH0 = 2
# The LAN's link to a node is numbered by the node's address, clear of what the kernel chooses.
_PORTS_FROM = 100_000
_LAN_PREFIX = LAN_RANGE.partition("/")[2]


def lan_path(directory: Path) -> Path:
    """The LAN's own namespace; sockets opened there reach every node."""
    return directory / LAN


def node_path(directory: Path, name: str) -> Path:
    return directory / name


def build_lan(directory: Path, nodes: Sequence[NodeNet], hosts: Sequence[HostNet] = ()) -> None:
    """Make the LAN with these nodes and hosts, or finish or repair one. Raises NetworkFailure."""
    directory.mkdir(parents=True, exist_ok=True)
    _build_bridge(lan_path(directory))
    for host in (*nodes, *hosts):
        _plug(directory, host)
    for host in (*nodes, *hosts):
        _route_host(directory, host, [other for other in nodes if other != host])
    _run_in(lan_path(directory), routes_of_lan(nodes))


def add_node(directory: Path, node: NodeNet, others: Iterable[NodeNet]) -> None:
    """Plug one more node in and tell it and the others of one another."""
    others = list(others)
    _plug(directory, node)
    _route_host(directory, node, others)
    _run_in(lan_path(directory), routes_of_lan([node]))
    for other in others:
        _run_in(node_path(directory, other.name), routes_to([node]))


def remove_node(directory: Path, node: NodeNet, others: Iterable[NodeNet]) -> None:
    """Unplug a node and forget it. Idempotent; its processes must have ended."""
    if namespaces.exists(lan_path(directory)):
        gone = [delete_link(_port(node)), delete_route(node.pod_cidr)]
        _run_in(lan_path(directory), gone)
    for other in others:
        if namespaces.exists(path := node_path(directory, other.name)):
            _run_in(path, [delete_route(node.pod_cidr)])
    namespaces.delete(node_path(directory, node.name))


def tear_down(directory: Path) -> None:
    """Remove every namespace below the directory, and the directory. Idempotent."""
    if not directory.exists():
        return
    for parent, folders, files in os.walk(directory, topdown=False):
        for name in files:
            namespaces.delete(Path(parent, name))
        for name in folders:
            folder = Path(parent, name)
            folder.unlink() if folder.is_symlink() else folder.rmdir()
    directory.rmdir()


def leftovers(directory: Path) -> list[str]:
    """What of a LAN is still there: paths of namespaces, folders and files, sorted."""
    if not directory.exists():
        return []
    found = [str(directory)]
    for parent, folders, files in os.walk(directory):
        found += [os.path.join(parent, name) for name in (*folders, *files)]
    return sorted(found)


def routes_to(others: Iterable[NodeNet]) -> list[Message]:
    """A node's routes to the pods of other nodes."""
    return [add_route(other.pod_cidr, gateway=other.lan_ip) for other in others]


routes_of_lan = routes_to
"""The LAN's own routes to pods are the same: each node's range by way of its address."""


def _build_bridge(path: Path) -> None:
    namespaces.create(path)
    with namespaces.entered(path), Netlink() as kernel:
        kernel.run(
            [
                set_up(LOOPBACK),
                add_bridge("lan0", _BRIDGE),
                add_address(_BRIDGE, f"{LAN_GATEWAY}/{_LAN_PREFIX}"),
            ]
        )
        namespaces.set_sysctl("net/ipv4/ip_forward", "1")


def _plug(directory: Path, node: HostNet) -> None:
    path = node_path(directory, node.name)
    namespaces.create(path)
    if _has_eth0(path):
        return
    with namespaces.entered(lan_path(directory)), Netlink() as kernel, path.open() as there:
        port = End(_port(node), _PORTS_FROM + lan_offset(node.lan_ip), master=_BRIDGE)
        # A port of that name leads into an earlier namespace of the node, which is no more.
        kernel.run([delete_link(port.name)])
        kernel.run([add_veth(port, End("eth0", _ETH0), there.fileno())])


def _has_eth0(path: Path) -> bool:
    with namespaces.entered(path), Netlink() as kernel:
        return any(link.name == "eth0" for link in kernel.links())


def _route_host(directory: Path, node: HostNet, others: Sequence[NodeNet]) -> None:
    with namespaces.entered(node_path(directory, node.name)), Netlink() as kernel:
        kernel.run(
            [
                set_up(LOOPBACK),
                set_up(_ETH0),
                add_address(_ETH0, f"{node.lan_ip}/{_LAN_PREFIX}"),
                add_route("0.0.0.0/0", gateway=LAN_GATEWAY),
                *routes_to(others),
            ]
        )
        namespaces.set_sysctl("net/ipv4/ip_forward", "1")


def _run_in(path: Path, messages: Sequence[Message]) -> None:
    with namespaces.entered(path), Netlink() as kernel:
        kernel.run(messages)


def _port(node: HostNet) -> str:
    return f"node{lan_offset(node.lan_ip)}"
