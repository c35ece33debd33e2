"""Hear of what comes and goes in directories (inotify(7)), without looking every now and then."""

from __future__ import annotations

import asyncio
import ctypes
import os
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
_IN_MOVED_FROM, _IN_MOVED_TO, _IN_CREATE, _IN_DELETE = 0x40, 0x80, 0x100, 0x200
_IN_CLOSE_WRITE = 0x8
_EVENTS = _IN_MOVED_FROM | _IN_MOVED_TO | _IN_CREATE | _IN_DELETE
_READ_BYTES = 64 * 1024


class Directories:
    """Some directories whose entries come and go; with contents, also those that are written. What it was
    is not told: who waits looks anew."""

    def __init__(self, *, contents: bool = False) -> None:
        """Raises OSError where the machine gives no more of them."""
        self._descriptor = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise _failure("inotify_init1")
        self._events = _EVENTS | (_IN_CLOSE_WRITE if contents else 0)
        self._changed = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._descriptor, self._read)

    def add(self, directory: Path) -> None:
        """Also this one; again is harmless. Raises OSError."""
        if _libc.inotify_add_watch(self._descriptor, os.fsencode(directory), self._events) < 0:
            raise _failure(str(directory))

    async def changed(self) -> None:
        """Wait until an entry has come or gone since the last time."""
        await self._changed.wait()
        self._changed.clear()

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)

    def _read(self) -> None:
        os.read(self._descriptor, _READ_BYTES)
        self._changed.set()


def _failure(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), what)
