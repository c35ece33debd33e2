"""One node's share of the network, as one owner: pod namespaces ahead, service routing, names,
network policies."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

from longshore.base.addresses import (
    CLUSTER_DOMAIN,
    DNS_ADDRESS,
    LAN_RANGE,
    POD_RANGE,
    SERVICE_RANGE,
)
from longshore.base.clock import Clock
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Client
from longshore.machinery.network import namespaces
from longshore.machinery.network.dns.plan import Zone
from longshore.machinery.network.dns.run import PORT, NameServer
from longshore.machinery.network.follow import ServiceWatch
from longshore.machinery.network.netlink import (
    LOOPBACK,
    SCOPE_HOST,
    Netlink,
    add_address,
    set_up,
)
from longshore.machinery.network.pods import PodNetwork
from longshore.machinery.network.policy.run import PolicyEnforcement
from longshore.machinery.network.ranges import NodeNet
from longshore.machinery.network.services.plan import Site
from longshore.machinery.network.services.published import published
from longshore.machinery.network.services.run import ServiceRouting


class NodeNetwork:
    """What an agent runs beside its kubelet. The PodNetwork is opened and closed by whoever made
    it; node_ns is the node's namespace, empty if the process is inside; upstreams are resolvers
    for names outside the cluster (none: such names do not exist)."""

    def __init__(
        self,
        node: NodeNet,
        client: Client,
        pods: PodNetwork,
        clock: Clock,
        *,
        node_ns: str = "",
        upstreams: Sequence[str] = (),
    ) -> None:
        self._node_ns = node_ns
        self._pods = pods
        self._watch = ServiceWatch(client, clock)
        pods.detached = self._detached
        self.policies = PolicyEnforcement(client, node, pods, clock, node_ns=node_ns)
        self._routing = ServiceRouting(self._watch, site_of(node), clock, node_ns=node_ns)
        zone = Zone(CLUSTER_DOMAIN, (SERVICE_RANGE, POD_RANGE, LAN_RANGE))
        self._names = NameServer(self._watch, zone, upstreams=upstreams)

    async def run(self) -> None:
        """Keep it all going until cancelled."""
        with namespaces.entered(self._node_ns):
            udp, tcp = _name_sockets()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch.run(), name="service watch")
            group.create_task(self._pods.run(), name="pod namespaces")
            group.create_task(self._routing.run(), name="service routing")
            group.create_task(self._names.run(udp, tcp), name="names")
            group.create_task(self.policies.run(), name="network policies")

    async def admit(self, pod: Doc, ip: str) -> None:
        """Return once its policies are in force at a pod's address, and ports of the node lead there.
        Raises NetworkFailure; nothing of the pod may run then."""
        await self.policies.admit(pod, ip)
        await self._routing.publish(pod["metadata"]["uid"], published(pod, ip))

    def _detached(self, uid: str) -> None:
        """A pod has no network any more; its rules go before anybody gets its address."""
        self.policies.detached(uid)
        self._routing.withdraw(uid)

    async def ready(self) -> None:
        """Return once services are routed and named as they were when this node started."""
        await self._routing.ready.wait()
        await self._names.ready.wait()


def site_of(node: NodeNet) -> Site:
    """What a local cluster's node has to know of its surroundings to route services."""
    return Site(
        node=node.name,
        node_ips=(node.lan_ip,),
        pod_cidr=node.pod_cidr,
        pod_range=POD_RANGE,
        service_range=SERVICE_RANGE,
        near_ranges=(LAN_RANGE,),
        own_ips=(DNS_ADDRESS,),
    )


def _name_sockets() -> tuple[socket.socket, socket.socket]:
    """Sockets on the cluster's DNS address, which every node has on its own loopback: a question
    never leaves its node."""
    with Netlink() as kernel:
        kernel.run([set_up(LOOPBACK), add_address(LOOPBACK, f"{DNS_ADDRESS}/32", SCOPE_HOST)])
    opened = []
    try:
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            opened.append(socket.socket(socket.AF_INET, kind))
            if kind == socket.SOCK_STREAM:
                opened[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened[-1].bind((DNS_ADDRESS, PORT))
    except OSError:
        for one in opened:
            one.close()
        raise
    udp, tcp = opened
    return udp, tcp
