"""The agent process: one node's kubelet, pod network, service routing and DNS, in its namespace."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

from longshore.base.addresses import CLUSTER_DOMAIN, DNS_ADDRESS
from longshore.base.chance import Chance
from longshore.base.clock import SystemClock
from longshore.cluster.config import ClusterConfig, ClusterPaths
from longshore.cluster.identity import NodeIdentity
from longshore.cluster.machine import node_namespace, node_nets, servers_of
from longshore.cluster.nodeapi import NodeApi
from longshore.cluster.process import prepare_process, run_to_the_end, until_signalled
from longshore.cluster.streams import NODE_API_PORT
from longshore.doors.kit.server import Server
from longshore.doors.kubernetes.client import HttpClient, Introduction
from longshore.machinery.kubelet.config import KubeletConfig
from longshore.machinery.kubelet.run import Kubelet
from longshore.machinery.network import namespaces
from longshore.machinery.network.node import NodeNetwork
from longshore.machinery.network.pods import PodNetwork
from longshore.machinery.network.ranges import NodeNet
from longshore.machinery.network.uplink import UPLINK_DNS
from longshore.machinery.runtime.images.store import ImageStore
from longshore.machinery.runtime.oci.run import OciRuntime


def main(config: ClusterConfig, paths: ClusterPaths, node: str) -> None:
    """The agent's life, until SIGTERM; its containers go on without it."""
    prepare_process(f"longshore-{node}")
    namespaces.enter(node_namespace(paths, node))
    (place,) = [net for net in node_nets(config) if net.name == node]
    agent = _Agent(config, paths, place)
    run_to_the_end(until_signalled(agent.run()))


class _Agent:
    """One node, put together."""

    def __init__(self, config: ClusterConfig, paths: ClusterPaths, place: NodeNet) -> None:
        self._config = config
        self._paths = paths
        self._place = place
        self._clock = SystemClock()
        self._chance = Chance()
        self._identity = NodeIdentity(paths.pki, place.name, place.lan_ip, self._clock)

    async def run(self) -> None:
        client = self._client()
        pods = PodNetwork(
            self._place, self._paths.namespaces / f"{self._place.name}-pods", self._clock
        )
        upstreams = (UPLINK_DNS,) if self._config.uplink == "user" else ()
        network = NodeNetwork(self._place, client, pods, self._clock, upstreams=upstreams)
        kubelet = Kubelet(
            self._kubelet_config(), client, self._runtime(), pods, self._clock, self._chance
        )
        kubelet.tokens = client
        kubelet.guard = network
        await pods.open()
        try:
            async with asyncio.TaskGroup() as crew:
                crew.create_task(network.run(), name="network")
                crew.create_task(kubelet.run(), name="kubelet")
                crew.create_task(self._serve(kubelet), name="node API")
                crew.create_task(self._identity.run(client, self._chance), name="certificates")
        finally:
            await pods.close()
            client.close()

    def _client(self) -> HttpClient:
        return HttpClient(
            servers_of(self._config, self._place.name),
            self._identity.to_servers,
            self._clock,
            said=Introduction("kubelet"),
        )

    def _runtime(self) -> OciRuntime:
        return OciRuntime(
            self._root / "runtime",
            ImageStore(self._paths.images),
            self._clock,
            cgroup_parent=f"{self._paths.cgroup_parent}/{self._place.name}",
        )

    @property
    def _root(self) -> Path:
        return self._paths.node(self._place.name)

    def _kubelet_config(self) -> KubeletConfig:
        return KubeletConfig(
            node_name=self._place.name,
            root=self._root / "kubelet",
            node_ip=self._place.lan_ip,
            pod_cidr=self._place.pod_cidr,
            cluster_dns=(DNS_ADDRESS,),
            cluster_domain=CLUSTER_DOMAIN,
            lease_renew_s=self._config.node_grace_s / 4,
            host_netns=str(node_namespace(self._paths, self._place.name)),
        )

    async def _serve(self, kubelet: Kubelet) -> None:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self._place.lan_ip, NODE_API_PORT))
        listener.listen(128)
        server = Server(NodeApi(kubelet).handle, self._clock)
        await server.serve([listener], self._identity.to_callers)
