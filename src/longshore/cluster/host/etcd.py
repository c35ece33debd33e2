"""The members of a local cluster's etcd: one process of Debian's etcd in a namespace of its own each.

They have an authority of their own, as kubeadm gives them one: whoever shows etcd a certificate may
read and write everything, so a node's or a user's must not be one.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from longshore.cluster.config import ClusterConfig, ClusterError, ClusterPaths
from longshore.core.pki.pairs import Pair
from longshore.machinery.network import namespaces
from longshore.machinery.network.lan import node_path
from longshore.machinery.network.ranges import HostNet, member_net

PACKAGE = "etcd-server"
CLIENT_PORT, PEER_PORT = 2379, 2380
CLIENT = "server-to-etcd"
# A LAN on one machine is quick: an election is begun after half of etcd's own default.
_HEARTBEAT_MS, _ELECTION_MS = 50, 500
# etcd's own advice for the largest store (2 GB by default); it grows with what is kept.
_QUOTA_BYTES = 8 << 30


def require() -> None:
    """Raises ClusterError if this machine has no etcd."""
    if shutil.which("etcd") is None:
        raise ClusterError(
            f"several servers keep their state in etcd, which is missing: apt-get install {PACKAGE}, "
            "or use --servers 1"
        )


def places(config: ClusterConfig) -> list[HostNet]:
    """Where the members are on the LAN; none if the store is embedded."""
    return [member_net(name, number) for number, name in enumerate(config.member_names, 1)]


def address(config: ClusterConfig) -> str:
    """All of them, as --store takes them."""
    return "etcd://" + ",".join(f"{place.lan_ip}:{CLIENT_PORT}" for place in places(config))


def authority_of(paths: ClusterPaths) -> Path:
    """The certificate of the authority that vouches for members and their clients."""
    return paths.etcd_pki / "ca.crt"


def client_pair(paths: ClusterPaths) -> Pair:
    """What servers show to members."""
    return Pair.named(paths.etcd_pki, CLIENT)


def main(config: ClusterConfig, paths: ClusterPaths, name: str) -> None:
    """Become that member of etcd."""
    namespaces.enter(node_path(paths.namespaces, name))
    program = shutil.which("etcd")
    assert program is not None
    os.execv(program, [program, *arguments(config, paths, name)])


def arguments(config: ClusterConfig, paths: ClusterPaths, name: str) -> list[str]:
    """What etcd is told. TLS with certificates on both sides, for clients and between members."""
    known = {place.name: place.lan_ip for place in places(config)}
    pair = Pair.named(paths.etcd_pki, name)
    client, peer = (f"https://{known[name]}:{port}" for port in (CLIENT_PORT, PEER_PORT))
    options = {
        "name": name,
        "data-dir": str(paths.members / name),
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": ",".join(f"{n}=https://{ip}:{PEER_PORT}" for n, ip in known.items()),
        "initial-cluster-token": config.context,
        "heartbeat-interval": _HEARTBEAT_MS,
        "election-timeout": _ELECTION_MS,
        "quota-backend-bytes": _QUOTA_BYTES,
        "enable-grpc-gateway": "false",
        "logger": "zap",
        "log-level": "warn",
    }
    for side in ("", "peer-"):
        options[f"{side}trusted-ca-file"] = str(authority_of(paths))
        options[f"{side}cert-file"] = str(pair.certificate)
        options[f"{side}key-file"] = str(pair.key)
        options[f"{side}client-cert-auth"] = "true"
    return [f"--{option}={value}" for option, value in options.items()]
