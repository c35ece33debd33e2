"""What a cluster of real containers takes from its machine: namespaces, mounts, cgroups."""

from __future__ import annotations

import socket
from pathlib import Path

from longshore.cluster.config import ClusterConfig, ClusterPaths
from longshore.machinery.network import lan
from longshore.machinery.network.namespaces import socket_in
from longshore.machinery.network.ranges import NodeNet, node_net


def node_nets(config: ClusterConfig) -> list[NodeNet]:
    return [node_net(name, number) for number, name in enumerate(config.node_names, 1)]


def build_network(config: ClusterConfig, paths: ClusterPaths) -> None:
    """The LAN and every node's namespace, or what is missing of them."""
    lan.build_lan(paths.namespaces, node_nets(config))


def lan_namespace(paths: ClusterPaths) -> Path:
    return lan.lan_path(paths.namespaces)


def node_namespace(paths: ClusterPaths, node: str) -> Path:
    return lan.node_path(paths.namespaces, node)


def lan_listener(paths: ClusterPaths, endpoint: tuple[str, int]) -> socket.socket:
    """A listening socket on the cluster's LAN."""
    listener = socket_in(lan_namespace(paths))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(endpoint)
    listener.listen(1024)
    return listener
