"""The few mount(2) calls that volumes need. Without root there are none, and directories do."""

from __future__ import annotations

import ctypes
import os
import re
from functools import cache
from pathlib import Path

_MS_NOSUID, _MS_NODEV, _MS_BIND, _MNT_DETACH = 2, 4, 4096, 2
_MS_SHARED = 1 << 20


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def may_mount() -> bool:
    return os.geteuid() == 0


@cache
def may_recurse() -> bool:
    """Whether a mount can be made read-only with all below it: since Linux 5.12 (mount_setattr(2))."""
    major, minor = (int(number) for number in re.findall(r"\d+", os.uname().release)[:2])
    return (major, minor) >= (5, 12)


def mount_tmpfs(target: Path, size_bytes: int, mode: int) -> None:
    """A file system in memory at target. Raises OSError."""
    options = f"mode={mode:o}" + (f",size={size_bytes}" if size_bytes else "")
    _mount("tmpfs", str(target), "tmpfs", _MS_NOSUID | _MS_NODEV, options)


def bind(source: str, target: Path) -> None:
    """Show source at target too. Raises OSError."""
    _mount(source, str(target), "", _MS_BIND, "")


def share(directory: Path) -> None:
    """Make it a mount whose copies see what is mounted below it later, and tell of what is mounted below
    them. Raises OSError."""
    if not is_mount(directory):
        bind(str(directory), directory)
    _mount("", str(directory), "", _MS_SHARED, "")


def _mount(source: str, target: str, kind: str, flags: int, options: str) -> None:
    done = _libc().mount(
        source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode()
    )
    if done != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


def unmount_below(directory: Path) -> None:
    """Unmount everything mounted at or below a directory, the newest first."""
    root = str(directory)
    for point in reversed(mount_points(directory.name)):
        if point == root or point.startswith(root + "/"):
            _libc().umount2(point.encode(), _MNT_DETACH)


def is_mount(path: Path) -> bool:
    return str(path) in mount_points(path.name)


def has_own_files(directory: Path) -> bool:
    """Whether another file system is mounted there than around it: said without a look at all mounts of
    the machine, of which every pod has a few."""
    return directory.stat().st_dev != directory.parent.stat().st_dev


def mount_points(name: str = "") -> list[str]:
    """Mount points of this process that may have a part of that name, in the order in which they were
    mounted. A name with characters that mountinfo escapes may be any."""
    plain = name if name.replace("-", "").replace(".", "").isalnum() else ""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
        return [_unescaped(line.split(" ", 5)[4]) for line in lines if plain in line]


def _unescaped(text: str) -> str:
    """mountinfo writes space, tab, newline and backslash as octal."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text
