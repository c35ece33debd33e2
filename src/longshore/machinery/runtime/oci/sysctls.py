"""Kernel parameters that belong to namespaces, and so to pods (sysctl(8), namespaces(7)). Pure."""

from __future__ import annotations

from collections.abc import Iterable

_IPC = ("kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue.")
_NETWORK = "net."


def path_of(name: str) -> str:
    """Below /proc/sys, of a name with dots or slashes: whichever comes first separates, the other is
    part of a word, as in net/ipv4/conf/eth0.1/mtu."""
    if "/" in name.split(".", 1)[0]:
        return name
    return name.translate(str.maketrans("./", "/."))


def not_the_pods_own(names: Iterable[str], *, host_network: bool, host_ipc: bool) -> str:
    """A sentence for the first that would be set for the whole node; "" if there is none."""
    for name in names:
        path = path_of(name)
        dotted = "" if ".." in path.split("/") else path.replace("/", ".")
        if dotted.startswith(_NETWORK):
            if host_network:
                return f'sysctl "{name}" is not allowed in the host network namespace'
        elif dotted.startswith(_IPC):
            if host_ipc:
                return f'sysctl "{name}" is not allowed in the host IPC namespace'
        else:
            return f'sysctl "{name}" is not in a namespace of the pod'
    return ""
