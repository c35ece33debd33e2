"""Kernel settings that a pod may ask for: those that are its own and hurt nobody else on the node, and
those that the node's owner allows besides. Pure.

Source: pkg/kubelet/sysctl (safe_sysctls.go, allowlist.go), component-helpers' sysctl namespaces.
"""

from __future__ import annotations

from collections.abc import Iterable

from longshore.core.objects.kinds import Doc

SAFE = (
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem", "net.ipv4.tcp_slow_start_after_idle", "net.ipv4.tcp_notsent_lowat",
)  # fmt: skip
_IPC = ("kernel.sem", "kernel.shm", "kernel.msg", "fs.mqueue.")
_NET = ("net.",)
_USER = "user."


def forbidden_sysctl(spec: Doc, allowed: Iterable[str]) -> str | None:
    """What is wrong with the first sysctl that the pod must not set; None if there is none."""
    for one in (spec.get("securityContext") or {}).get("sysctls") or ():
        name = normal(one["name"])
        if not any(_covers(pattern, name) for pattern in (*SAFE, *map(normal, allowed))):
            return f'"{name}" not allowlisted'
        if (shared := _shared(name, spec)) is not None:
            return f'"{name}" not allowed with host {shared} enabled'
    return None


def namespaced(patterns: Iterable[str]) -> tuple[str, ...]:
    """What may be allowed: settings that a pod has for itself. Raises ValueError with upstream's words."""
    for pattern in patterns:
        if not normal(pattern).startswith((*_IPC, *_NET, _USER)):
            raise ValueError(f'the sysctls "{pattern}" are not known to be namespaced')
    return tuple(patterns)


def normal(name: str) -> str:
    """Whichever of . and / comes first parts the name; the other is then a letter of it."""
    dot, slash = name.find("."), name.find("/")
    if slash < 0 or 0 <= dot < slash:
        return name
    return name.translate(str.maketrans("./", "/."))


def _covers(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _shared(name: str, spec: Doc) -> str | None:
    """The namespace that the setting belongs to, if the pod has the node's."""
    if name.startswith(_IPC) and spec.get("hostIPC"):
        return "ipc"
    if name.startswith(_NET) and spec.get("hostNetwork"):
        return "net"
    if name.startswith(_USER) and spec.get("hostUsers", True):
        return "user"
    return None
