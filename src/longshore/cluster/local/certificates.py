"""The certificates and keys that there must be before a cluster's processes start.

Whoever imports this has what makes them in its memory, and so has everybody whom it forks: see aside().
"""

from __future__ import annotations

from longshore.base.clock import SystemClock
from longshore.cluster.config import GATEWAY, ClusterConfig, ClusterPaths
from longshore.cluster.host import etcd
from longshore.cluster.renewal import SHARE
from longshore.cluster.server.certified import MASTERS, certify_server
from longshore.cluster.settings import encryption
from longshore.core.pki.authority import Authority
from longshore.core.pki.token_keys import TokenKeys
from longshore.machinery.network.ranges import node_net, server_net


def make(config: ClusterConfig, paths: ClusterPaths) -> None:
    """Make what is missing. Idempotent."""
    authority = certify_server(config, paths, _addresses_of_servers(config))
    for node, number in config.places.items():
        if config.has_lan:
            authority.client(f"{node}-client", f"system:node:{node}", ["system:nodes"])
            authority.server(f"{node}-server", [node_net(node, number).lan_ip, node])
    if config.shared:
        authority.client(GATEWAY, f"longshore:{GATEWAY}", [MASTERS])
        _shared_secrets(config, paths)


def _addresses_of_servers(config: ClusterConfig) -> list[str]:
    """The addresses of several servers on the LAN, which their certificate names."""
    names = config.server_names if config.shared else []
    return [server_net(name, number).lan_ip for number, name in enumerate(names, 1)]


def _shared_secrets(config: ClusterConfig, paths: ClusterPaths) -> None:
    """What the only server makes when it starts, and several must find."""
    _certify_members(config, paths)
    TokenKeys(paths.pki, SystemClock())
    encryption.of_cluster(paths)


def _certify_members(config: ClusterConfig, paths: ClusterPaths) -> None:
    """Those of etcd, and anew what ends soon: members read their files at every handshake, and servers at
    their start."""
    paths.etcd_pki.mkdir(mode=0o700, exist_ok=True)
    clock = SystemClock()
    authority = Authority(paths.etcd_pki, clock)
    pairs = [authority.client(etcd.CLIENT, "longshore:server", [])]
    places = etcd.places(config)
    pairs += [authority.peer(place.name, [place.lan_ip, place.name]) for place in places]
    for pair in (authority.pair, *pairs):
        if clock.now() >= pair.lifetime.renewal(SHARE):
            authority.renew(pair)
