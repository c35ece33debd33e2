"""What the driver asks of the machine it is on and of an image's files: users, processes, devices."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import stat
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from longshore.machinery.runtime.linux import open_beneath
from longshore.machinery.runtime.oci.spec import CAPABILITIES, Node
from longshore.machinery.runtime.oci.users import ProcessUser, find_user
from longshore.machinery.runtime.protocol import Device

_PASSWD_MAX_BYTES = 1024 * 1024
_USERS_MOST = 256
_SIGNAL = re.compile(r"(?:SIG)?(\w+?)([+-]\d{1,2})?")


def user_of(rootfs: Path, wanted: str) -> ProcessUser:
    """The user as the image's own files know it. Raises ValueError (users.find_user)."""
    root = os.open(rootfs, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return find_user(
            wanted, _read_beneath(root, "etc/passwd"), _read_beneath(root, "etc/group")
        )
    finally:
        os.close(root)


class Users:
    """Who containers run as, by image: what an image's files say of a name is looked up once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], ProcessUser] = {}

    def find(self, image_id: str, rootfs: Path, wanted: str) -> ProcessUser:
        """rootfs shows the image as it is, nothing has been written there. Raises ValueError."""
        key = (image_id, wanted)
        if key not in self._known:
            if len(self._known) == _USERS_MOST:
                self._known.clear()
            self._known[key] = user_of(rootfs, wanted)
        return self._known[key]


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
    """Of SIGTERM, TERM, RTMIN+3 or 15; SIGTERM for anything that is no signal."""
    if name.isdecimal() and int(name) in signal.valid_signals():
        return int(name)
    matched = _SIGNAL.fullmatch(name.upper())
    found = signal.Signals.__members__.get(f"SIG{matched[1]}") if matched else None
    if matched is None or found is None:
        return int(signal.SIGTERM)
    return int(found) + int(matched[2] or 0)


@cache
def bounding_capabilities() -> frozenset[str]:
    """Those this process may hand on: some hosts keep a few back."""
    return _capabilities("CapBnd:")


def _capabilities(field: str) -> frozenset[str]:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            mask = int(line.split()[1], 16)
            return frozenset(name for bit, name in enumerate(CAPABILITIES) if mask >> bit & 1)
    return frozenset(CAPABILITIES)


@cache
def oom_floor() -> int:
    """The lowest oom_score_adj that this process may give: its own, unless it may lower it (proc(5))."""
    if "SYS_RESOURCE" in _capabilities("CapEff:"):
        return -1000
    return int(Path("/proc/self/oom_score_adj").read_text())


def all_nodes() -> list[Node]:
    """The device nodes directly in /dev, for a privileged container."""
    found = (_node(str(path), path.lstat()) for path in sorted(Path("/dev").iterdir()))
    return [node for node in found if node is not None]


def nodes(devices: Iterable[Device]) -> list[Node]:
    """The devices a container was given; of a directory, all that are in it. Raises ValueError for
    what is none, OSError for what is not there."""
    found = []
    for device in devices:
        source = Path(device.source)
        for path in sorted(source.iterdir()) if source.is_dir() else [source]:
            target = Path(device.target, path.relative_to(source))
            node = _node(str(target), path.stat(), device.permissions)
            if node is None:
                raise ValueError(f"{path} is not a device")
            found.append(node)
    return found


def _node(target: str, found: os.stat_result, permissions: str = "rwm") -> Node | None:
    if not (stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode)):
        return None
    kind, number = "c" if stat.S_ISCHR(found.st_mode) else "b", found.st_rdev
    return Node(target, kind, os.major(number), os.minor(number), permissions)
