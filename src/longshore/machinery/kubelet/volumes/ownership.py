"""Let the group of a pod have what is on a volume that was there before it (pkg/volume/volume_linux.go:
SetVolumeOwnership). May take long: it looks at every file."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterable

from longshore.machinery.kubelet.volumes.plan import HostPath, Volume

_READ, _READ_AND_WRITE = 0o440, 0o660
_ENTER = stat.S_ISGID | 0o110


async def give_to_groups(volumes: Iterable[Volume]) -> None:
    """See to those volumes that ask for it, beside the loop. Raises OSError."""
    for volume in volumes:
        if isinstance(volume, HostPath) and volume.gid is not None:
            await asyncio.to_thread(_give, volume, volume.gid)


def _give(volume: HostPath, gid: int) -> None:
    """A volume that is not there is told of by whoever mounts it."""
    mode = _READ if volume.read_only else _READ_AND_WRITE
    root = volume.path
    if not os.path.isdir(root) or (volume.lazily and _has(root, gid, mode)):
        return
    # By descriptors, and following no link: who has the volume already may be changing it.
    for _, _, files, directory in os.fwalk(root, topdown=False):
        for name in files:
            _change(name, directory, gid, mode)
        os.fchown(directory, -1, gid)
        os.fchmod(directory, stat.S_IMODE(os.fstat(directory).st_mode) | mode | _ENTER)


def _has(root: str, gid: int, mode: int) -> bool:
    """Whether the top of a volume is as the group needs it, so that the rest is taken to be."""
    found = os.stat(root)
    wanted = mode | _ENTER
    return found.st_gid == gid and found.st_mode & wanted == wanted


def _change(name: str, directory: int, gid: int, mode: int) -> None:
    """Links stay as they are, and what is gone is gone."""
    try:
        handle = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    except FileNotFoundError:
        return
    try:
        found, itself = os.fstat(handle).st_mode, f"/proc/self/fd/{handle}"
        if not stat.S_ISLNK(found):
            os.chown(itself, -1, gid)
            os.chmod(itself, stat.S_IMODE(found) | mode)
    finally:
        os.close(handle)
