"""One node's share of the network, as one owner: pod namespaces ahead, service routing, names,
network policies."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass

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
from longshore.machinery.network.machines.run import MachineRoutes, remove_routes
from longshore.machinery.network.netlink import (
    LOOPBACK,
    SCOPE_HOST,
    Netlink,
    add_address,
    delete_address,
    set_up,
)
from longshore.machinery.network.pods import PodNetwork
from longshore.machinery.network.policy import nft as policy_rules
from longshore.machinery.network.policy.run import PolicyEnforcement
from longshore.machinery.network.ranges import NodeNet
from longshore.machinery.network.services import nft as service_rules
from longshore.machinery.network.services.plan import Site
from longshore.machinery.network.services.published import published
from longshore.machinery.network.services.run import ServiceRouting


@dataclass(frozen=True, slots=True)
class Outside:
    """What is around a node. near are the ranges of a LAN of ours, from which it has its routes; a
    machine by itself has none, makes its routes and keeps them. upstreams are resolvers for names outside the
    cluster (none: such names do not exist)."""

    near: tuple[str, ...] = ()
    upstreams: tuple[str, ...] = ()


LAN = Outside(near=(LAN_RANGE,))


class NodeNetwork:
    """What an agent runs beside its kubelet. The PodNetwork is opened and closed by whoever made
    it; node_ns is the node's namespace, empty if the process is inside."""

    def __init__(
        self,
        node: NodeNet,
        client: Client,
        pods: PodNetwork,
        clock: Clock,
        *,
        node_ns: str = "",
        outside: Outside = LAN,
    ) -> None:
        self._node_ns = node_ns
        self._pods = pods
        self._watch = ServiceWatch(client, clock)
        pods.detached = self._detached
        self.policies = PolicyEnforcement(client, node, pods, clock, node_ns=node_ns)
        self._routing = ServiceRouting(
            self._watch, site_of(node, outside.near), clock, node_ns=node_ns
        )
        self._routes = None if outside.near else MachineRoutes(client, node, clock)
        zone = Zone(CLUSTER_DOMAIN, (SERVICE_RANGE, POD_RANGE, *outside.near))
        self._names = NameServer(self._watch, zone, upstreams=outside.upstreams)

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
            if self._routes is not None:
                group.create_task(self._routes.run(), name="routes to other machines")

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


def site_of(node: NodeNet, near: Sequence[str]) -> Site:
    """What a node has to know of its surroundings to route services. To what is near, pods speak under
    their own addresses; to other machines under their node's, for nobody else knows the way back."""
    return Site(
        node=node.name,
        node_ips=(node.lan_ip,),
        pod_cidr=node.pod_cidr,
        pod_range=POD_RANGE,
        service_range=SERVICE_RANGE,
        near_ranges=tuple(near),
        own_ips=(DNS_ADDRESS,),
    )


def clear_machine(node: NodeNet) -> None:
    """Take away what a node left in the network namespace that one is in, which is the machine's own:
    rules, routes, addresses. Its pods' namespaces are gone already. Idempotent. Blocking."""
    remove_routes()
    with Netlink() as kernel:
        own = (f"{DNS_ADDRESS}/32", f"{node.gateway}/32")
        kernel.run([delete_address(LOOPBACK, one) for one in own])
    rules = service_rules.Nft()
    try:
        rules.run(service_rules.GONE + policy_rules.GONE)
    finally:
        rules.close()


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
