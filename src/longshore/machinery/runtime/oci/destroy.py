"""Takes away everything a runtime ever made below a directory and a control group.

It trusts no record: processes are found by their control group and by conmon's command line, mounts
by the kernel's own list. So it works after a SIGKILL at any moment, and twice is as good as once.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

from longshore.machinery.runtime.linux import unmount
from longshore.machinery.runtime.oci import cgroups
from longshore.machinery.runtime.protocol import RuntimeFailure

_ROUNDS = 20
_DEATH_TIMEOUT_MS = 2_000
# The programs of which one may work below a root without being in its control group.
_WORKERS = (
    b"conmon", b"runc", b"crun", b"unshare", b"busybox", b"containerd", b"containerd-shim-runc-v2",
)  # fmt: skip


def leftovers(root: Path, cgroup_parent: str) -> list[str]:
    """What destroy_all would take away: one line for each process, mount, group and directory."""
    group = cgroups.checked(cgroup_parent)
    found = [f"process {pid}" for pid in sorted(_processes(root, group))]
    found += [f"mount {path}" for path in mounts_below(root)]
    found += [f"control group {path}" for path in cgroups.existing(group)]
    if root.exists():
        found.append(f"directory {root}")
    return found


def destroy_all(root: Path, cgroup_parent: str) -> None:
    """Kill, unmount, remove. Blocks. Raises RuntimeFailure naming what would not go, and then
    removes no file: never through a mount that is still there."""
    group = cgroups.checked(cgroup_parent)
    end_processes(root, group)
    for path in mounts_below(root):
        unmount(path)
    if still := mounts_below(root):
        raise RuntimeFailure(f"{still[0]} will not be unmounted")
    cgroups.remove(group)
    remove_tree(root)


def mounts_below(root: Path) -> list[Path]:
    """Mount points at root and below it, the last made first (each as often as it is mounted)."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        path = Path(_unescaped(line.split(" ", 5)[4]))
        if path == root or root in path.parents:
            found.append(path)
    return found[::-1]


def remove_tree(path: Path) -> None:
    """rmtree that finds nothing wrong with nothing there. Raises RuntimeFailure."""
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        if path.exists():
            remove_tree(path)
    except OSError as error:
        raise RuntimeFailure(f"{path} cannot be removed: {error}") from error


def end_processes(root: Path, group: str = "") -> None:
    """SIGKILL to every conmon, runc and crun that works below root, and to everybody in the group, until
    nobody is left. Blocks. Raises RuntimeFailure naming those who will not go."""
    for _ in range(_ROUNDS):
        doomed = _processes(root, group)
        if not doomed:
            return
        _kill(doomed)
    raise RuntimeFailure(f"processes will not end: {sorted(doomed)}")


def _processes(root: Path, group: str) -> set[int]:
    members = cgroups.processes(group) if group else set()
    return (members | set(_workers(root))) - {os.getpid()}


def _workers(root: Path) -> Iterator[int]:
    """Those with a path below root on their command line: not all have reached their group yet."""
    marker = os.fsencode(root) + b"/"  # node-1 is not node-10
    for entry in os.scandir("/proc"):
        if not entry.name.isdecimal():
            continue
        with contextlib.suppress(OSError):
            program, *words = Path(entry.path, "cmdline").read_bytes().split(b"\0")
            if program.endswith(_WORKERS) and any(marker in word + b"/" for word in words):
                yield int(entry.name)


def _kill(pids: set[int]) -> None:
    """SIGKILL, and wait until they are gone (a zombie counts as gone: its pidfd is readable)."""
    waiting = select.poll()
    opened = {}
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            fd = os.pidfd_open(pid)
            opened[fd] = pid
            waiting.register(fd, select.POLLIN)
            signal.pidfd_send_signal(fd, signal.SIGKILL)
    while opened:
        ended = waiting.poll(_DEATH_TIMEOUT_MS)
        if not ended:
            break
        for fd, _ in ended:
            waiting.unregister(fd)
            os.close(fd)
            del opened[fd]
    for fd in opened:
        os.close(fd)


def _unescaped(path: str) -> str:
    """mountinfo writes space, tab, newline and backslash as octal."""
    return (
        path.replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n")
        .replace("\\134", "\\")
    )
