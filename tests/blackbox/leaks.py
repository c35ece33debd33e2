"""What clusters of a test have on this machine, by kind: what is there beyond that in the end was leaked.
Others on the machine have clusters of their own meanwhile."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from longshore.base.clock import SystemClock
from longshore.cluster.config import CONTAINERD, ClusterPaths
from longshore.machinery.runtime.oci import cgroups

Found = dict[str, set[str]]


def held(paths: ClusterPaths) -> Found:
    """Mounts, control groups, network namespaces, files and processes of a cluster's pods."""
    nodes, containerd = paths.home / "nodes", paths.home / CONTAINERD
    return {
        "mounts": {*_mounts(nodes), *_of_sandboxes(_mounts(containerd))},
        "groups": {str(path) for path in _groups(paths.cgroup_parent)},
        "addresses": {str(path) for path in paths.namespaces.glob("*-pods/pods/*")},
        "files": {str(path) for path in _files(nodes)},
        "processes": {*processes_below(nodes), *_shims(containerd)},
    }


def machine(root: Path) -> Found:
    """What clusters below a directory have on this machine, and what nobody's may have: something
    in the machine's own network."""
    parents = ClusterPaths(root, "*").cgroup_parent
    return {
        "links": _lines("ip", "-o", "link"),
        "addresses": _lines("ip", "-o", "-4", "address"),
        "routes": _lines("ip", "route", "show", "table", "all"),
        "rules": _lines("nft", "list", "ruleset"),
        "mounts": set(_mounts(root)),
        "groups": {
            str(path) for top in cgroups.hierarchies().values() for path in top.glob(parents)
        },
        "processes": set(processes_below(root)),
    }


async def until_nothing_new(paths: ClusterPaths, before: Found) -> Found:
    """What pods have beyond that, once it is nothing or patience ends."""
    return await _left(partial(held, paths), before)


async def nothing_left(root: Path, before: Found) -> None:
    """Fail with what clusters below a directory have beyond that, unless it is gone soon (the kernel
    takes namespaces apart after their last process)."""
    assert await _left(partial(machine, root), before) == {}


async def _left(look: Callable[[], Found], before: Found, patience_s: float = 30.0) -> Found:
    clock = SystemClock()
    deadline = clock.monotonic() + patience_s
    while (left := _new(before, look())) and clock.monotonic() < deadline:
        await clock.sleep(0.2)
    return left


def _new(before: Found, now: Found) -> Found:
    found = {what: now[what] - before[what] for what in now}
    return {what: more for what, more in found.items() if more}


def _lines(*command: str) -> set[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines())


def _mounts(root: Path) -> Iterator[str]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        place = Path(line.split(" ")[4])
        if place.is_relative_to(root):
            yield str(place)


def _of_sandboxes(mounts: Iterator[str]) -> Iterator[str]:
    """Without the bare network namespaces: containerd before 1.7 forgets that of a sandbox over which it was
    killed, until the next start of the machine or the cluster's end."""
    return (one for one in mounts if "/netns/" not in one)


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


def _shims(containerd: Path) -> Iterator[str]:
    """What keeps a pod's containers for containerd, which may itself be another process by now."""
    return (one for one in processes_below(containerd) if "shim" in one)


def processes_below(root: Path) -> Iterator[str]:
    """Those whose command names a path there; the ones in containers are in control groups besides."""
    marker = re.compile(re.escape(str(root).encode()) + rb"[/\0]")
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if marker.search(words):
            yield f"{path.parent.name} {words[:40]!r}"
