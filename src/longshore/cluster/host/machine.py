"""What a cluster of real containers takes from its machine: namespaces, mounts, cgroups."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path

from longshore.base.addresses import API_PORT, LAN_GATEWAY
from longshore.cluster.config import ClusterConfig, ClusterPaths
from longshore.cluster.host import etcd
from longshore.cluster.host.process import BACKLOG
from longshore.machinery.kubelet.config import KubeletConfig
from longshore.machinery.network import lan
from longshore.machinery.network.namespaces import socket_in
from longshore.machinery.network.ranges import HostNet, NodeNet, node_net, server_net

# What a hollow node says it has: that of a middling real one.
HOLLOW_CAPACITY = {"cpu": "32", "memory": "256Gi", "pods": "110", "ephemeral-storage": "100Gi"}


def node_nets(config: ClusterConfig) -> list[NodeNet]:
    return [node_net(name, number) for name, number in config.places.items()]


def server_nets(config: ClusterConfig) -> list[HostNet]:
    """Where several servers are on the LAN; one alone is at its gateway."""
    if not config.shared:
        return [HostNet("server", LAN_GATEWAY)]
    return [server_net(name, number) for number, name in enumerate(config.server_names, 1)]


def api_endpoints(config: ClusterConfig) -> list[tuple[str, int]]:
    """Address and port of every server, as pods reach it: on the LAN or, on a machine by itself, where
    other machines do. None where no pod could."""
    if config.standalone:
        outer = [one for one in config.addresses if _is_reachable(one)]
        return [(address, config.port) for address in outer[:1]]
    return [] if config.hollow else _on_lan(config)


def _is_reachable(address: str) -> bool:
    """Whether it may be an endpoint: pods have IPv4 only."""
    ip = ipaddress.ip_address(address)
    return ip.version == 4 and not ip.is_loopback


def _on_lan(config: ClusterConfig) -> list[tuple[str, int]]:
    return [(net.lan_ip, API_PORT) for net in server_nets(config)]


def servers_of(config: ClusterConfig, who: str) -> list[str]:
    """All servers, as somebody on the LAN asks them: not everybody the same one first."""
    urls = [f"https://{address}:{port}" for address, port in _on_lan(config)]
    first = sum(who.encode()) % len(urls)
    return urls[first:] + urls[:first]


def build_network(config: ClusterConfig, paths: ClusterPaths) -> None:
    """The LAN and the namespace of every node, and of several servers and members of etcd; or what
    is missing of them."""
    hosts = [*etcd.places(config), *server_nets(config)] if config.shared else []
    lan.build_lan(paths.namespaces, node_nets(config), hosts)


def lan_namespace(paths: ClusterPaths) -> Path:
    return lan.lan_path(paths.namespaces)


def node_namespace(paths: ClusterPaths, node: str) -> Path:
    return lan.node_path(paths.namespaces, node)


def lan_listener(config: ClusterConfig, paths: ClusterPaths, name: str) -> socket.socket:
    """The socket on the cluster's LAN at which the server of that name listens."""
    (net,) = [one for one in server_nets(config) if one.name == name]
    listener = socket_in(node_namespace(paths, name) if config.shared else lan_namespace(paths))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((net.lan_ip, API_PORT))
    listener.listen(BACKLOG)
    return listener


def hollow_nodes(config: ClusterConfig, paths: ClusterPaths) -> list[KubeletConfig]:
    """Hollow nodes have the addresses that real ones would have; nobody answers there."""
    return [
        KubeletConfig(
            node_name=net.name,
            root=paths.node(net.name),
            node_ip=net.lan_ip,
            pod_cidr=net.pod_cidr,
            capacity=HOLLOW_CAPACITY,
        )
        for net in node_nets(config)
    ]
