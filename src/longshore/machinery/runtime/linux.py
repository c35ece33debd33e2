"""The few Linux calls that Python's os module lacks: openat2, mount, umount2, unshare, setns."""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
_SYS_OPENAT2 = 437  # the same on every architecture
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_IN_ROOT = 0x10

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 0x1, 0x2, 0x4, 0x8
MS_BIND, MS_PRIVATE = 0x1000, 1 << 18
_MNT_DETACH = 2
_CLONE_NEWUTS, _CLONE_NEWIPC, _CLONE_NEWNET = 0x04000000, 0x08000000, 0x40000000


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def open_beneath(root: int, path: str, flags: int) -> int:
    """A descriptor of path, resolved as if the directory root were /. Raises OSError."""
    how = _How(flags | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)
    encoded = os.fsencode(path)
    fd = _libc.syscall(_SYS_OPENAT2, root, encoded, ctypes.byref(how), ctypes.sizeof(how))
    _check(fd, path)
    return int(fd)


def mount(source: str, target: Path, kind: str, flags: int = 0, data: str = "") -> None:
    """mount(2). Raises OSError."""
    done = _libc.mount(
        source.encode(), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), data.encode()
    )
    _check(done, str(target))


def unmount(target: Path) -> None:
    """Detach whatever is mounted there, busy or not; nothing there is fine. Raises OSError."""
    if _libc.umount2(os.fsencode(target), _MNT_DETACH) != 0:
        code = ctypes.get_errno()
        if code not in (22, 2):  # EINVAL: not a mount point; ENOENT: not even a path
            raise OSError(code, os.strerror(code), str(target))


def is_mount_point(path: Path, mountinfo: str) -> bool:
    """Whether something is mounted at path, given the text of /proc/self/mountinfo."""
    return any(line.split(" ", 5)[4] == str(path) for line in mountinfo.splitlines())


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a pod's namespaces are to be. sysctls: values by path below /proc/sys, of the new IPC
    namespace or of the network namespace at netns. host_ipc: the IPC namespace is the caller's."""

    hostname: str
    host_ipc: bool = False
    netns: str = ""
    sysctls: Mapping[str, str] = field(default_factory=dict)


def new_namespaces(wanted: Wanted) -> tuple[int, int]:
    """Descriptors of a new IPC and a new UTS namespace, which live while one of them is open or
    somebody is in them. Raises OSError."""
    made: list[tuple[int, int]] = []
    failure: list[OSError] = []

    def make() -> None:
        # Namespaces belong to a thread: this one ends here and takes nothing with it.
        try:
            made.append(_enter_new(wanted))
        except OSError as error:
            failure.append(error)

    # A thread alone costs a tenth of a millisecond less than one of a pool's.
    thread = threading.Thread(target=make, name="namespaces")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return made[0]


def _enter_new(wanted: Wanted) -> tuple[int, int]:
    _check(_libc.unshare(_CLONE_NEWUTS | (0 if wanted.host_ipc else _CLONE_NEWIPC)), "unshare")
    socket.sethostname(wanted.hostname)
    if wanted.sysctls:
        _enter(wanted.netns)
    for path, value in wanted.sysctls.items():
        with open(f"/proc/sys/{path}", "w", encoding="utf-8") as file:
            file.write(value)
    own = f"/proc/self/task/{threading.get_native_id()}/ns"
    ipc = os.open(f"{own}/ipc", os.O_RDONLY | os.O_CLOEXEC)
    return ipc, os.open(f"{own}/uts", os.O_RDONLY | os.O_CLOEXEC)


def _enter(netns: str) -> None:
    """The calling thread's network namespace becomes that one."""
    fd = os.open(netns, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_libc.setns(fd, _CLONE_NEWNET), netns)
    finally:
        os.close(fd)


def socket_in(netns: str) -> socket.socket:
    """A TCP socket of the network namespace at that path. Raises OSError."""

    def make() -> socket.socket:
        _enter(netns)
        return socket.socket(socket.AF_INET, socket.SOCK_STREAM)

    with ThreadPoolExecutor(1, "socket") as thread:
        return thread.submit(make).result()


def _check(result: int, what: str) -> None:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), what)
