"""A hollow node as a process of its own, in its namespace: where several servers share a store, nodes
belong to none of them."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from longshore.base.chance import Chance
from longshore.base.clock import SystemClock
from longshore.cluster.agent.identity import NodeIdentity
from longshore.cluster.config import ClusterConfig, ClusterPaths
from longshore.cluster.host.machine import hollow_nodes, node_namespace, servers_of
from longshore.cluster.host.process import prepare_process, run_to_the_end, until_signalled
from longshore.doors.kubernetes.client import HttpClient, Introduction
from longshore.machinery.kubelet.hollow.nodes import HollowNodes
from longshore.machinery.network import namespaces


def main(config: ClusterConfig, paths: ClusterPaths, node: str) -> None:
    """The node's life, until SIGTERM."""
    prepare_process(f"longshore-{node}")
    namespaces.enter(node_namespace(paths, node))
    run_to_the_end(until_signalled(_run(config, paths, node)))


async def _run(config: ClusterConfig, paths: ClusterPaths, node: str) -> None:
    clock = SystemClock()
    (place,) = [one for one in hollow_nodes(config, paths) if one.node_name == node]
    place = replace(place, lease_renew_s=config.node_grace_s / 4)
    identity = NodeIdentity(paths.pki, node, place.node_ip, clock)
    servers, said = servers_of(config, node), Introduction("kubelet")
    client = HttpClient(servers, identity.to_servers, clock, said=said)
    try:
        async with asyncio.TaskGroup() as crew:
            crew.create_task(HollowNodes([place], client, clock).run(), name="node")
            crew.create_task(identity.run(client, Chance()), name="certificates")
    finally:
        client.close()
