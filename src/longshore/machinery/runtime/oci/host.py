"""What the driver asks of the machine it is on and of an image's files: users, processes, devices."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
from functools import cache
from pathlib import Path

from longshore.machinery.runtime.linux import open_beneath
from longshore.machinery.runtime.oci.spec import CAPABILITIES
from longshore.machinery.runtime.oci.users import ProcessUser, find_user

_PASSWD_MAX_BYTES = 1024 * 1024


def user_of(rootfs: Path, wanted: str) -> ProcessUser:
    """The user as the image's own files know it. Raises ValueError (users.find_user)."""
    root = os.open(rootfs, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return find_user(
            wanted, _read_beneath(root, "etc/passwd"), _read_beneath(root, "etc/group")
        )
    finally:
        os.close(root)


def _read_beneath(root: int, path: str) -> str:
    """A file of the image's, whose links may not lead into the host."""
    try:
        fd = open_beneath(root, path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return ""
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return ""
        return file.read(_PASSWD_MAX_BYTES).decode(errors="replace")


def running(pid: int, argument: str = "") -> int:
    """A pidfd of a running process, -1 if it is gone. argument must be on its command line: a pid
    from a file may have become somebody else's."""
    if pid <= 0:
        return -1
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return -1
    if argument:
        with contextlib.suppress(OSError):
            if argument.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                return fd
        os.close(fd)
        return -1
    return fd


def signal_number(name: str) -> int:
    """Of SIGTERM, TERM or 15; SIGTERM for anything that is no signal."""
    if name.isdecimal() and int(name) in signal.valid_signals():
        return int(name)
    found = signal.Signals.__members__.get(f"SIG{name.upper().removeprefix('SIG')}")
    return int(found or signal.SIGTERM)


@cache
def bounding_capabilities() -> frozenset[str]:
    """Those this process may hand on: some hosts keep a few back."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapBnd:"):
            mask = int(line.split()[1], 16)
            return frozenset(name for bit, name in enumerate(CAPABILITIES) if mask >> bit & 1)
    return frozenset(CAPABILITIES)


def devices() -> list[tuple[str, str, int, int]]:
    """The nodes directly in /dev: (path, "c" or "b", major, minor)."""
    found = []
    for path in sorted(Path("/dev").iterdir()):
        mode = path.lstat()
        if stat.S_ISCHR(mode.st_mode) or stat.S_ISBLK(mode.st_mode):
            kind = "c" if stat.S_ISCHR(mode.st_mode) else "b"
            found.append((str(path), kind, os.major(mode.st_rdev), os.minor(mode.st_rdev)))
    return found
