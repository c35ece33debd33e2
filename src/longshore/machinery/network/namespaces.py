"""Network namespaces that outlive the process that made them: files with a namespace bound on them.

Entering a namespace concerns the calling thread only. Whoever enters does it for a few blocking
lines (never across an await) and is back afterwards; a socket opened inside keeps the namespace,
which is how one process listens and dials in several.
"""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from longshore.machinery.network.errors import NamespaceFailure

_CLONE_NEWNET = 0x40000000
_MS_BIND = 0x1000
_MNT_DETACH = 2
_OWN = "/proc/thread-self/ns/net"

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        raise NamespaceFailure(f"{what}: {os.strerror(ctypes.get_errno())}")


def create(path: Path) -> None:
    """Make a network namespace that lives as long as `path` (and its users). Nothing in it is
    set up. If one is bound there already, it is kept. Raises NamespaceFailure."""
    if exists(path):
        return
    with made(path):
        pass


@contextmanager
def made(path: Path) -> Iterator[None]:
    """Make a new namespace bound on `path` and be inside it: create and entered in one, for those
    who have more to do there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    with _returning():
        _check(_libc.unshare(_CLONE_NEWNET), "unshare the network namespace")
        _check(
            _libc.mount(_OWN.encode(), bytes(path), None, _MS_BIND, None),
            f"bind a namespace on {path}",
        )
        yield


def exists(path: Path) -> bool:
    """Is a namespace bound on that file? A plain file is what a maker killed midway left."""
    try:
        return path.stat().st_dev == os.stat(_OWN).st_dev
    except FileNotFoundError:
        return False


def delete(path: Path) -> None:
    """Let go of a namespace and its file; it ends with its last process. Idempotent."""
    while exists(path):
        _check(_libc.umount2(bytes(path), _MNT_DETACH), f"unmount {path}")
    path.unlink(missing_ok=True)


@contextmanager
def entered(path: Path | str) -> Iterator[None]:
    """Be in the namespace bound on `path`; an empty path stays where the thread is."""
    if not str(path):
        yield
        return
    with _returning():
        enter(path)
        yield


def enter(path: Path | str) -> None:
    """Move the calling thread into a namespace for good (a worker thread's first act)."""
    if not str(path):
        return
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise NamespaceFailure(f"enter {path}: {error.strerror}") from error
    try:
        _check(_libc.setns(fd, _CLONE_NEWNET), f"enter {path}")
    finally:
        os.close(fd)


@contextmanager
def _returning() -> Iterator[None]:
    home = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        back = _libc.setns(home, _CLONE_NEWNET)
        os.close(home)
        # A thread left in a foreign namespace would put the next socket there: never go on.
        assert back == 0, os.strerror(ctypes.get_errno())


def socket_in(
    path: Path | str,
    family: int = socket.AF_INET,
    kind: int = socket.SOCK_STREAM,
    protocol: int = 0,
) -> socket.socket:
    """A socket that belongs to the namespace bound on `path`."""
    with entered(path):
        return socket.socket(family, kind, protocol)


def set_sysctl(name: str, value: str) -> None:
    """Set net.* of the namespace the calling thread is in; name as net/ipv4/ip_forward."""
    try:
        with open(f"/proc/sys/{name}", "w") as file:
            file.write(value)
    except OSError as error:
        raise NamespaceFailure(f"set {name} to {value}: {error.strerror}") from error
