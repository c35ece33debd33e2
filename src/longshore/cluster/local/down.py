"""Take a cluster down: everything of it, or everything but its state. Works on what any kill left."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from longshore.base.clock import SystemClock
from longshore.cluster import kubeconfig
from longshore.cluster.config import (
    ClusterConfig,
    ClusterPaths,
    UnknownCluster,
    check_name,
    default_root,
    names,
)
from longshore.cluster.host import containerd
from longshore.cluster.host.processes import Process, end, recorded
from longshore.machinery.network import lan, uplink
from longshore.machinery.runtime.oci.destroy import destroy_all, leftovers

# How long the server may take to end well when the cluster is stopped.
STOP_GRACE_S = 10.0
# ... and a member of etcd, which hands leadership on to others that are ending too. It loses nothing.
MEMBER_GRACE_S = 0.5


def chosen(name: str, everything: bool, root: Path | None) -> list[str]:
    """The clusters that are meant. Raises UnknownCluster if the one named is not there."""
    where = (root or default_root()).absolute()
    if everything:
        return sorted(names(where))
    paths = ClusterPaths(where, check_name(name))
    if not paths.home.exists():
        known = ", ".join(sorted(names(where))) or "none"
        raise UnknownCluster(f"no cluster is called {name!r} in {where} (there: {known})")
    return [name]


def remains(name: str, root: Path | None) -> list[str]:
    """What `down` would remove, a line each."""
    paths = ClusterPaths((root or default_root()).absolute(), name)
    lines = [f"process {p.pid} ({p.role})" for p in recorded(paths.processes) if p.alive]
    lines += [f"process {pid} (uplink)" for pid in uplink.leftovers(paths.uplink)]
    lines += leftovers(paths.home, paths.cgroup_parent)
    lines += [f"namespace {path}" for path in lan.leftovers(paths.namespaces)]
    context = ClusterConfig(name, 0, "", "", 0).context
    if kubeconfig.mentions(context, kubeconfig.user_file()):
        lines.append(f"context {context} in {kubeconfig.user_file()}")
    return [*lines, f"directory {paths.home}"]


def down(name: str, root: Path | None) -> None:
    """Remove a cluster without a trace."""
    paths = ClusterPaths((root or default_root()).absolute(), name)
    asyncio.run(end(_all_that_ever_started(paths), SystemClock(), grace_s=0))
    _clear_machine(paths)
    kubeconfig.remove(ClusterConfig(name, 0, "", "", 0).context, kubeconfig.user_file())
    shutil.rmtree(paths.home)
    _remove_if_empty(paths.root)


def _all_that_ever_started(paths: ClusterPaths) -> list[Process]:
    """Every recorded process. The records are moved away first: a child that a killed `up` forked
    and that has not recorded itself yet can no longer do so, and ends."""
    ending = paths.home / "ending"
    if paths.processes.exists() and not ending.exists():
        paths.processes.rename(ending)
    return [*recorded(ending), *recorded(paths.processes)]


def stop(name: str, root: Path | None) -> None:
    """End every process and container and free the machine; state and images stay."""
    paths = ClusterPaths((root or default_root()).absolute(), check_name(name))
    members = paths.load().member_names
    # First those who write, then those who keep it: a server gives its Leases back as it ends.
    for keepers, grace_s in ((False, STOP_GRACE_S), (True, MEMBER_GRACE_S)):
        those = [p for p in recorded(paths.processes) if (p.role in members) is keepers]
        asyncio.run(end(those, SystemClock(), grace_s))
    _clear_machine(paths)
    for record in paths.processes.glob("*.json"):
        record.unlink()


def _clear_machine(paths: ClusterPaths) -> None:
    uplink.end_leftover(paths.uplink)
    containerd.of(paths).clear(paths.cgroup_parent)
    destroy_all(paths.home / "nodes", paths.cgroup_parent)
    lan.tear_down(paths.namespaces)


def _remove_if_empty(directory: Path) -> None:
    if not any(directory.iterdir()):
        directory.rmdir()
