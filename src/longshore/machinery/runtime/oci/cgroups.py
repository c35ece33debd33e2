"""Control groups of this machine, whichever way they are mounted: v2, v1, or both side by side.

A group is named by its path below the root of each hierarchy: "/longshore/n1/podUID/ID".
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from longshore.machinery.runtime.protocol import RuntimeFailure


def checked(parent: str) -> str:
    """A parent group's path with a leading slash. Raises ValueError for one that would be the root
    or lead elsewhere: everything below it is killed in the end."""
    parts = parent.strip("/").split("/")
    if not all(parts) or any(part in (".", "..") for part in parts):
        raise ValueError(f'"{parent}" is not the path of a control group of our own')
    return "/" + "/".join(parts)


@cache
def hierarchies() -> dict[str, Path]:
    """Where each hierarchy is mounted, by a name: "unified" for v2, else its controllers. Read once:
    they do not move while a machine is up."""
    found = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        if kind == "cgroup2":
            found["unified"] = Path(left.split(" ")[4])
        elif kind == "cgroup":
            found[_controllers(options)] = Path(left.split(" ")[4])
    return found


def is_unified() -> bool:
    """Whether version 2 is all there is, as on machines of today."""
    return set(hierarchies()) == {"unified"}


@cache
def limits_swap() -> bool:
    """Whether a group of version 2 can be kept from swapping; this process's own, which has the
    memory controller or is the root, is asked, as upstream does (pkg/kubelet/kuberuntime:
    swapControllerAvailable)."""
    return any(Path(procs).with_name("memory.swap.max").exists() for procs in _own_groups())


def _controllers(options: str) -> str:
    words = [word for word in options.split(",") if word not in ("rw", "ro", "xattr", "none")]
    return ",".join(words)


def supervising() -> list[Path]:
    """The hierarchies by which a service manager kills: those its supervised processes must leave."""
    found = hierarchies()
    chosen = [found[name] for name in ("unified", "name=systemd") if name in found]
    return chosen or list(found.values())[:1]


def move(pid: int, group: str) -> None:
    """Put a process there, making the group. Raises OSError."""
    for mounted in supervising():
        directory = mounted / group.lstrip("/")
        procs = str(directory / "cgroup.procs")
        try:
            write(procs, str(pid))
        except FileNotFoundError:
            directory.mkdir(parents=True, exist_ok=True)
            write(procs, str(pid))


def warm() -> None:
    """Take the kernel's lock on group membership once, to no effect: this process is put where it
    is. The first to take it waits for an RCU grace period (7 ms and more), those who come soon after
    do not: so called while runc is still getting up, it spares runc the wait. Blocks; best effort."""
    with contextlib.suppress(OSError, StopIteration):
        write(next(_own_groups()), str(os.getpid()))


def _own_groups() -> Iterator[str]:
    """The cgroup.procs of the groups this process is in (cgroups(7), /proc/PID/cgroup)."""
    found = hierarchies()
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        mounted = found.get(controllers or "unified")
        if mounted is not None and (mounted / path.lstrip("/") / "cgroup.procs").exists():
            yield str(mounted / path.lstrip("/") / "cgroup.procs")


def oom_kills(group: str) -> int:
    """How many of the group's processes the kernel has killed for want of memory."""
    for name, mounted in hierarchies().items():
        if name != "unified" and "memory" not in name.split(","):
            continue
        for file in ("memory.events", "memory.oom_control"):
            with contextlib.suppress(OSError, ValueError):
                for line in (mounted / group.lstrip("/") / file).read_text().splitlines():
                    if line.startswith("oom_kill "):
                        return int(line.split(" ")[1])
    return 0


def existing(group: str) -> list[Path]:
    """The group's directories and all below them, in every hierarchy, children first."""
    found: list[Path] = []
    for mounted in hierarchies().values():
        for directory, _, _ in os.walk(mounted / group.lstrip("/"), topdown=False):
            found.append(Path(directory))
    return found


def processes(group: str) -> set[int]:
    """Everybody in the group or below it."""
    return {pid for directory in existing(group) for pid in _pids(directory)}


def _pids(directory: Path) -> Iterator[int]:
    with contextlib.suppress(OSError):
        yield from map(int, (directory / "cgroup.procs").read_text().split())


def kill(group: str) -> set[int]:
    """SIGKILL to everybody there but the caller; those it was sent to."""
    hit = processes(group) - {os.getpid()}
    for pid in hit:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return hit


def remove(group: str) -> None:
    """Remove the empty group and all below it; what is not there is fine. Raises RuntimeFailure
    while somebody is in it."""
    for directory in existing(group):
        try:
            directory.rmdir()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise RuntimeFailure(f"{directory} is still in use") from error


def write(path: str, text: str) -> None:
    """One value of a group. Raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
