"""Non-blocking descriptors in the event loop: what processes say, and what is said to them.

Nothing is gathered here: the kernel's own buffers are the only queue, so who does not read holds up
who writes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os

_PIECE_BYTES = 65_536


class Outputs:
    """Descriptors that are read together; each has a number. Owns them."""

    def __init__(self, numbers: dict[int, int]) -> None:
        self._numbers = numbers
        self._wake = asyncio.Event()
        for fd in numbers:
            os.set_blocking(fd, False)

    async def read(self) -> tuple[int, bytes]:
        """(number, a piece); (0, b"") once all have ended or close() was called."""
        while self._numbers:
            for fd in list(self._numbers):
                piece = _piece(fd)
                if piece is None:
                    continue
                number = self._numbers.pop(fd)
                if piece:
                    self._numbers[fd] = number  # behind the others: none starves
                    return number, piece
                os.close(fd)
            if self._numbers:
                await self._ready()
        return 0, b""

    def close(self) -> None:
        loop = asyncio.get_running_loop()
        for fd in self._numbers:
            loop.remove_reader(fd)
            os.close(fd)
        self._numbers.clear()
        self._wake.set()

    async def _ready(self) -> None:
        loop = asyncio.get_running_loop()
        self._wake.clear()
        for fd in self._numbers:
            loop.add_reader(fd, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            for fd in self._numbers:
                loop.remove_reader(fd)


def _piece(fd: int) -> bytes | None:
    """What is there; None if nothing is yet, b"" at the end (EIO: a terminal's other side closed)."""
    try:
        return os.read(fd, _PIECE_BYTES)
    except BlockingIOError:
        return None
    except OSError:
        return b""


class Input:
    """One descriptor that is written to, at most piece_bytes at a time. Owns it."""

    def __init__(self, fd: int, piece_bytes: int = _PIECE_BYTES) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self._piece_bytes = piece_bytes
        self._wake = asyncio.Event()

    async def write(self, data: bytes) -> None:
        """Returns when all is written; what nobody will read any more is dropped."""
        rest = memoryview(data)
        while rest and self._fd >= 0:
            try:
                rest = rest[os.write(self._fd, rest[: self._piece_bytes]) :]
            except BlockingIOError:
                await self._ready()
            except OSError:
                return

    def close(self) -> None:
        if self._fd >= 0:
            asyncio.get_running_loop().remove_writer(self._fd)
            os.close(self._fd)
        self._fd = -1
        self._wake.set()

    async def _ready(self) -> None:
        loop, fd = asyncio.get_running_loop(), self._fd
        self._wake.clear()
        loop.add_writer(fd, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            if self._fd >= 0:
                loop.remove_writer(fd)


def close_all(*fds: int) -> None:
    """Close those that are descriptors, open or not."""
    for fd in fds:
        if fd >= 0:
            with contextlib.suppress(OSError):
                os.close(fd)
