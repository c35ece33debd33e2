"""What nodes of a cluster have on this machine, by kind: what is there beyond that when all pods are gone
was leaked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from longshore.base.clock import SystemClock
from longshore.cluster.config import ClusterPaths
from longshore.machinery.runtime.oci import cgroups


def held(paths: ClusterPaths) -> dict[str, set[str]]:
    """Mounts, control groups, network namespaces, files and processes of its pods."""
    nodes = paths.home / "nodes"
    return {
        "mounts": {line for line in _mounts() if line.startswith(f"{nodes}/")},
        "groups": {str(path) for path in _groups(paths.cgroup_parent)},
        "addresses": {str(path) for path in paths.namespaces.glob("*-pods/pods/*")},
        "files": {str(path) for path in _files(nodes)},
        "processes": set(_processes(nodes)),
    }


async def until_nothing_new(
    paths: ClusterPaths, before: dict[str, set[str]], patience_s: float = 15.0
) -> dict[str, set[str]]:
    """What is new, once nothing is or patience ends."""
    clock = SystemClock()
    deadline = clock.monotonic() + patience_s
    while (left := _new(before, held(paths))) and clock.monotonic() < deadline:
        await clock.sleep(0.2)
    return left


def _new(before: dict[str, set[str]], now: dict[str, set[str]]) -> dict[str, set[str]]:
    found = {what: now[what] - before[what] for what in now}
    return {what: more for what, more in found.items() if more}


def _mounts() -> Iterator[str]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        yield line.split(" ")[4]


def _groups(parent: str) -> Iterator[Path]:
    """Groups of pods and containers; those of QoS classes stay."""
    for path in cgroups.existing(cgroups.checked(parent)):
        if len(path.name) > len("besteffort") and path.name != parent:
            yield path


def _files(nodes: Path) -> Iterator[Path]:
    for pattern in (
        "kubelet/pods/*", "kubelet/logs/*", "runtime/written/*", "runtime/run/containers/*",
        "runtime/run/sandboxes/*", "runtime/run/runc/*", "runtime/run/crun/*",
    ):  # fmt: skip
        yield from nodes.glob(f"*/{pattern}")


def _processes(nodes: Path) -> Iterator[str]:
    marker = f"{nodes}/".encode()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if marker in words:
            yield f"{path.parent.name} {words[:40]!r}"
