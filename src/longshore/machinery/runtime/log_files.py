"""One container's log as one row of bytes, however many files it is in: rotated ones, the current one, and
those that it becomes while somebody reads."""

from __future__ import annotations

import asyncio
import gzip
import os
import shutil
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from longshore.machinery.runtime.log_format import parse
from longshore.machinery.runtime.rotated import PACKED, rotated_of

_BLOCK_BYTES = 64 * 1024


class LogFiles:
    """Reads forward, from the oldest file on. One that is being read stays open, so that renaming,
    packing and removing it lose nothing. Without follow it ends where the log ended when it was
    opened, lest who reads a flood never comes to its end."""

    def __init__(self, log: Path, *, follow: bool) -> None:
        self._log = log
        self._follow = follow
        self._until = sys.maxsize
        self._file: IO[bytes] | None = None
        # Behind the one that is read; with none left, that one is the current file.
        self._queue: deque[IO[bytes] | Path] = deque(self._all())
        self._seen: set[str] = set()

    def close(self) -> None:
        for one in (self._file, *self._queue):
            if one is not None and not isinstance(one, Path):
                one.close()
        self._file = None
        self._queue.clear()

    async def skip_to_tail(self, lines: int) -> None:
        """Begin where the last so many lines of the program's do. From the end, in blocks: a long log
        costs no more than its last lines."""
        opened: deque[IO[bytes] | Path] = deque()
        while self._queue:
            file = await _opened(self._queue.pop())
            if file is None:
                continue
            # The newest ends where it ended when it was opened: what is printed meanwhile is no tail.
            end = sys.maxsize if opened else self._until
            opened.appendleft(file)
            offset, lines = _tail(file, lines, end)
            file.seek(offset)
            if lines < 0:
                break
        self.close()
        self._queue = opened

    async def read(self, most: int) -> bytes:
        """The next piece, of one file; b"" if there is nothing more yet."""
        while True:
            if self._file is None and not await self._open_next():
                return b""
            assert self._file is not None
            # Whether it was replaced is asked first: what was written before that is read after.
            over = bool(self._queue) or (self._follow and self._is_replaced(self._file))
            if piece := self._file.read(min(most, self._left(self._file))):
                return piece
            if not over:
                return b""
            self._leave(self._file)

    def _left(self, file: IO[bytes]) -> int:
        """How much of a file may be read at most."""
        if self._follow or self._queue:
            return sys.maxsize
        return max(0, self._until - file.tell())

    def _all(self) -> Iterator[IO[bytes] | Path]:
        """The current file is opened first: it may be rotated while the others are looked up."""
        try:
            current = self._log.open("rb")
            self._until = os.fstat(current.fileno()).st_size
        except FileNotFoundError:
            current = None
        for path in rotated_of(self._log):
            if current is None or not _is(path, current):
                yield path
        if current is not None:
            yield current

    async def _open_next(self) -> bool:
        """Take up the next file that is there."""
        if not self._queue and self._follow:
            self._queue.append(self._log)
        while self._queue and self._file is None:
            self._file = await _opened(self._queue.popleft())
        if self._file is not None and not self._queue:
            ours = self._file
            self._seen = {_base(one) for one in rotated_of(self._log) if not _is(one, ours)}
        return self._file is not None

    def _is_replaced(self, file: IO[bytes]) -> bool:
        """Whether what is written goes into another file now, or this one began anew."""
        try:
            there, held = os.stat(self._log), os.fstat(file.fileno())
        except FileNotFoundError:
            return False  # renamed just now: it is written to until the next one is there
        return there.st_ino != held.st_ino or there.st_size < file.tell()

    def _leave(self, file: IO[bytes]) -> None:
        """Go on behind a file that was read whole."""
        if not self._queue:
            newer = [one for one in rotated_of(self._log) if _base(one) not in self._seen]
            gone = os.fstat(file.fileno()).st_nlink == 0
            if newer and (gone or _is(newer[0], file)):
                del newer[0]  # it is this one, renamed or packed
            self._queue.extend((*newer, self._log))
        file.close()
        self._file = None


def _base(path: Path) -> str:
    return path.name.removesuffix(PACKED)


def _is(path: Path, file: IO[bytes]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


async def _opened(one: IO[bytes] | Path) -> IO[bytes] | None:
    """Whatever is gone by now is None; what is packed is unpacked aside."""
    if not isinstance(one, Path):
        return one
    try:
        if one.suffix == PACKED:
            return await asyncio.to_thread(_unpacked, one)
        return one.open("rb")
    except FileNotFoundError:
        packed = one.with_name(one.name + PACKED)
        return await asyncio.to_thread(_unpacked, packed) if packed.exists() else None


def _unpacked(path: Path) -> IO[bytes]:
    with gzip.open(path, "rb") as packed:
        file = TemporaryFile(dir=path.parent)  # noqa: SIM115  it is handed on
        shutil.copyfileobj(packed, file, 256 * 1024)
    file.seek(0)
    return file


def _tail(file: IO[bytes], lines: int, end: int) -> tuple[int, int]:
    """(Offset, lines left): where the last so many lines before end begin; -1 are left if they begin in
    this file."""
    position = min(file.seek(0, os.SEEK_END), end)
    if lines <= 0:
        return position, -1
    for start, line in _backwards(file, position):
        entry = parse(line)
        if entry is None or entry.partial:
            continue
        if lines == 0:
            return start + len(line) + 1, -1
        lines -= 1
    return 0, lines


def _backwards(file: IO[bytes], position: int) -> Iterator[tuple[int, bytes]]:
    """(offset, line) of every whole line before position, the last first: what is being written behind
    the last newline is none yet."""
    rest, unfinished = b"", True
    while position > 0:
        size = min(_BLOCK_BYTES, position)
        position -= size
        file.seek(position)
        block = file.read(size) + rest
        if unfinished:
            block = block[: block.rfind(b"\n") + 1]
            unfinished = not block
            if unfinished:
                continue
        first, *lines = block.split(b"\n")
        offset = position + len(block)
        for line in reversed(lines):
            offset -= len(line)
            if line:
                yield offset, line
            offset -= 1
        rest = first
    if rest:
        yield 0, rest
