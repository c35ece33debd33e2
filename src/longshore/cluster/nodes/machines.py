"""The machines below the nodes of a local cluster: what is made of one, and taken away again. Blocks;
each may be repeated after it was interrupted."""

from __future__ import annotations

import asyncio
import shutil

from longshore.base.clock import SystemClock
from longshore.cluster.config import ClusterConfig, ClusterPaths
from longshore.cluster.host import containerd
from longshore.cluster.host.processes import end, recorded
from longshore.core.pki.pairs import Pair
from longshore.machinery.network import lan
from longshore.machinery.network.ranges import node_net
from longshore.machinery.runtime.oci.destroy import destroy_all

# How long an agent may take to end well. It has nothing to lose.
_GRACE_S = 2.0


def remove_machine(config: ClusterConfig, paths: ClusterPaths, node: str) -> None:
    """The agent of a node, its containers, files, certificates and namespaces. config has it still."""
    agents = [one for one in recorded(paths.processes) if one.role == node]
    asyncio.run(end(agents, SystemClock(), _GRACE_S))
    (paths.processes / f"{node}.json").unlink(missing_ok=True)
    if config.runtime == "cri":
        containerd.clear_node(paths, node)
    if not config.hollow:
        destroy_all(paths.node(node), f"{paths.cgroup_parent}/{node}")
    if config.has_lan:
        _unplug(config, paths, node)
    shutil.rmtree(paths.node(node), ignore_errors=True)
    for what in ("client", "server"):
        pair = Pair.named(paths.pki, f"{node}-{what}")
        pair.certificate.unlink(missing_ok=True)
        pair.key.unlink(missing_ok=True)


def _unplug(config: ClusterConfig, paths: ClusterPaths, node: str) -> None:
    nets = {name: node_net(name, number) for name, number in config.places.items()}
    lan.tear_down(paths.namespaces / f"{node}-pods")
    lan.remove_node(paths.namespaces, nets.pop(node), nets.values())
