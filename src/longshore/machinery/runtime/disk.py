"""How much of a disk a directory takes, as du(1) counts it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator

from longshore.machinery.runtime.protocol import DiskUse

_BLOCK_BYTES = 512  # st_blocks is in these, whatever the file system's own are (stat(2))


def disk_use(directory: str | os.PathLike[str]) -> DiskUse:
    """Of all below the directory and itself, on its own file system; a file of several names counts
    once. What goes meanwhile is left out, and nothing at all is no use. Blocks: a few microseconds a file."""
    try:
        top = os.lstat(directory)
    except OSError:
        return DiskUse(0, 0)
    total, inodes, seen = top.st_blocks * _BLOCK_BYTES, 1, set[int]()
    for found in _below(os.fspath(directory), top.st_dev):
        if found.st_nlink > 1 and not stat.S_ISDIR(found.st_mode):
            if found.st_ino in seen:
                continue
            seen.add(found.st_ino)
        total += found.st_blocks * _BLOCK_BYTES
        inodes += 1
    return DiskUse(total, inodes)


def together(uses: Iterable[DiskUse]) -> DiskUse:
    """The sum."""
    listed = list(uses)
    return DiskUse(sum(one.bytes for one in listed), sum(one.inodes for one in listed))


def _below(directory: str, device: int) -> Iterator[os.stat_result]:
    waiting = [directory]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    found = entry.stat(follow_symlinks=False)
                    if found.st_dev != device:
                        continue
                    yield found
                    if stat.S_ISDIR(found.st_mode):
                        waiting.append(entry.path)
        except OSError:
            continue  # gone, or a directory that became something else
