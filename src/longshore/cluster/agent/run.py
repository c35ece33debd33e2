"""The agent process: one node's kubelet, pod network, service routing and DNS, in its namespace."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from longshore.base.addresses import CLUSTER_DOMAIN, DNS_ADDRESS, NODE_API_PORT
from longshore.base.chance import Chance
from longshore.base.clock import SystemClock
from longshore.cluster.agent.access import NodeAccess
from longshore.cluster.agent.api import NodeApi
from longshore.cluster.agent.identity import NodeIdentity
from longshore.cluster.config import ClusterConfig, ClusterPaths
from longshore.cluster.host import containerd
from longshore.cluster.host.cri import CriPlace, driver
from longshore.cluster.host.machine import node_namespace, node_nets, servers_of
from longshore.cluster.host.process import (
    SHUT_DOWN,
    prepare_agent,
    run_to_the_end,
    until_signalled,
)
from longshore.doors.kit.server import Server
from longshore.doors.kubernetes.client import HttpClient, Introduction
from longshore.machinery.kubelet.config import KubeletConfig
from longshore.machinery.kubelet.lifecycle.qos import POD_PIDS_MAX
from longshore.machinery.kubelet.resource_settings import (
    LINUX_EVICTION_HARD,
    SHARED_DISK_EVICTION_HARD,
    ResourceSettings,
)
from longshore.machinery.kubelet.resources.gauges import MachineGauges
from longshore.machinery.kubelet.run import Kubelet
from longshore.machinery.kubelet.statistics.measuring import Links
from longshore.machinery.network import namespaces
from longshore.machinery.network.counters import read_traffic
from longshore.machinery.network.node import LAN, NodeNetwork, Outside
from longshore.machinery.network.pods import PodNetwork, link_name
from longshore.machinery.network.ranges import NodeNet
from longshore.machinery.network.uplink import UPLINK_DNS
from longshore.machinery.runtime.images.store import ImageStore
from longshore.machinery.runtime.oci.run import OciRuntime
from longshore.machinery.runtime.protocol import Runtime

# A machine of its own has the limits that upstream's nodes have. A local cluster's nodes share one disk
# with all else on the machine: that it is nearly full says nothing about them.
OWN_MACHINE = ResourceSettings(eviction_hard=LINUX_EVICTION_HARD)
SHARED_MACHINE = ResourceSettings(
    eviction_hard=SHARED_DISK_EVICTION_HARD, image_gc_high_percent=100
)


@dataclass(frozen=True, slots=True)
class Setting:
    """What an agent is told: the node's place, files and surroundings, and the URLs of servers. Without cri
    it runs containers itself."""

    place: NodeNet
    paths: ClusterPaths
    servers: Sequence[str]
    kubelet: KubeletConfig
    outside: Outside
    cri: CriPlace | None = None


def main(config: ClusterConfig, paths: ClusterPaths, node: str) -> None:
    """The life of a local cluster's agent, until SIGTERM; its containers go on without it."""
    prepare_agent(f"longshore-{node}")
    namespaces.enter(node_namespace(paths, node))
    run_to_the_end(until_signalled(Agent(setting_of(config, paths, node)).run()))


def setting_of(config: ClusterConfig, paths: ClusterPaths, node: str) -> Setting:
    """What a node of a local cluster is told."""
    (place,) = [net for net in node_nets(config) if net.name == node]
    kubelet = kubelet_config(
        place,
        paths,
        resources=SHARED_MACHINE,
        lease_renew_s=config.node_grace_s / 4,
        host_netns=str(node_namespace(paths, node)),
    )
    outside = replace(LAN, upstreams=(UPLINK_DNS,)) if config.uplink == "user" else LAN
    cri = containerd.place(paths) if config.runtime == "cri" else None
    return Setting(place, paths, servers_of(config, node), kubelet, outside, cri)


def kubelet_config(place: NodeNet, paths: ClusterPaths, **more: Any) -> KubeletConfig:
    """What all kubelets are told, and more of KubeletConfig's fields."""
    usual: dict[str, Any] = {
        "resources": OWN_MACHINE,
        "static_pods": paths.node(place.name) / "static-pods",
    }
    return KubeletConfig(
        node_name=place.name,
        root=paths.kubelet(place.name),
        node_ip=place.lan_ip,
        pod_cidr=place.pod_cidr,
        cluster_dns=(DNS_ADDRESS,),
        cluster_domain=CLUSTER_DOMAIN,
        pull_records=paths.images / "pulled.json",
        **(usual | more),
    )


def _told(setting: Setting) -> KubeletConfig:
    """What the kubelet is told. A CRI runtime gives containers no limit of processes, so pods get one."""
    kubelet = setting.kubelet
    if setting.cri is None or kubelet.resources.pod_pids_limit:
        return kubelet
    return replace(kubelet, resources=replace(kubelet.resources, pod_pids_limit=POD_PIDS_MAX))


async def _told_to_shut_down() -> None:
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(SHUT_DOWN, told.set)
    await told.wait()


class Agent:
    """One node, put together."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._place = setting.place
        self._paths = setting.paths
        self._clock = SystemClock()
        self._chance = Chance()
        pki, place = setting.paths.pki, setting.place
        self._identity = NodeIdentity(pki, place.name, place.lan_ip, self._clock)

    async def run(self) -> None:
        """Until cancelled, or until SHUT_DOWN has been carried out."""
        client, setting = self._client(), self._setting
        pods = PodNetwork(
            self._place, self._paths.namespaces / f"{self._place.name}-pods", self._clock
        )
        network = NodeNetwork(self._place, client, pods, self._clock, outside=setting.outside)
        kubelet = Kubelet(_told(setting), client, self._runtime(), pods, self._clock, self._chance)
        kubelet.tokens = client
        kubelet.guard = network
        kubelet.statistics.links = Links(read_traffic, lambda uid: _link(pods, uid))
        kubelet.gauges = MachineGauges(setting.kubelet.root, self._paths.images)
        await pods.open()
        try:
            async with asyncio.TaskGroup() as crew:
                crew.create_task(network.run(), name="network")
                crew.create_task(kubelet.run(), name="kubelet")
                crew.create_task(self._serve(kubelet, client), name="node API")
                crew.create_task(self._identity.run(client, self._chance), name="certificates")
                await _told_to_shut_down()
                await kubelet.shut_down()
                raise asyncio.CancelledError
        finally:
            await pods.close()
            client.close()

    def _client(self) -> HttpClient:
        return HttpClient(
            self._setting.servers,
            self._identity.to_servers,
            self._clock,
            said=Introduction("kubelet"),
        )

    def _runtime(self) -> Runtime:
        name, cri = self._place.name, self._setting.cri
        group = f"{self._paths.cgroup_parent}/{name}"
        if cri is not None:
            return driver(cri, name, group)
        images = ImageStore(self._paths.images)
        root = self._paths.node(name) / "runtime"
        return OciRuntime(root, images, self._clock, cgroup_parent=group)

    async def _serve(self, kubelet: Kubelet, client: HttpClient) -> None:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self._place.lan_ip, NODE_API_PORT))
        listener.listen(128)
        access = NodeAccess(client, self._place.name, self._clock)
        server = Server(NodeApi(kubelet, kubelet.statistics, access).handle, self._clock)
        await server.serve([listener], self._identity.to_callers)


def _link(pods: PodNetwork, uid: str) -> str:
    """The node's end of a pod's link; empty if it has none."""
    place = pods.attached().get(uid)
    return link_name(place.ip) if place is not None else ""
