"""Reads the log files that container runtimes write, as `kubectl logs` prints them.

One line of a file (the CRI log format, kubernetes/design-proposals-archive node/kubelet-cri-logging):

    2026-11-21T08:16:16.931974210+00:00 stdout F host0

F ends a line of the program's; P is a piece of one that was too long or came without its end.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from longshore.base.clock import Clock, parse_rfc3339
from longshore.core.streams.protocols import LogOptions

# How often a followed file is looked at. A container's log has no one to announce it.
FOLLOW_PERIOD_S = 0.1
_BLOCK_BYTES = 64 * 1024
_PIECE_MAX_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the file. text has the newline if the program wrote one."""

    timestamp: bytes
    stream: bytes
    partial: bool
    text: bytes


def parse(line: bytes) -> Entry | None:
    """One whole line of the file, without its newline; None if it is not of the format."""
    fields = line.split(b" ", 3)
    if len(fields) < 4 or fields[1] not in (b"stdout", b"stderr"):
        return None
    timestamp, stream, tags, text = fields
    partial = tags.split(b":")[0] == b"P"
    return Entry(timestamp, stream, partial, text if partial else text + b"\n")


async def read(
    path: Path, options: LogOptions, clock: Clock, ended: Callable[[], bool]
) -> AsyncIterator[bytes]:
    """The log in pieces. With follow, until ended() says that nothing more will be written, and all
    that was has been read. A file that is not there yet is an empty one."""
    printer = _Printer(options)
    position, file_id, rest = _start(path, options.tail_lines), 0, b""
    while not printer.full:
        last_look = not options.follow or ended()
        read_on, seen_id = _next_block(path, position, file_id)
        if read_on is None:
            position, file_id, rest = 0, 0, b""  # another file, or a shorter one: it was rotated
            continue
        file_id = seen_id
        position += len(read_on)
        *lines, rest = (rest + read_on).split(b"\n")
        if piece := printer.print(lines):
            yield piece
        if not read_on:
            if last_look:
                return
            await clock.sleep(FOLLOW_PERIOD_S)


class _Printer:
    """Turns lines of the file into output: since, timestamps, the limit in bytes."""

    def __init__(self, options: LogOptions) -> None:
        self._options = options
        self._left = options.limit_bytes
        self._inside: set[bytes] = set()  # streams in the middle of a line
        self._late_enough = options.since <= 0

    @property
    def full(self) -> bool:
        return self._left is not None and self._left <= 0

    def print(self, lines: list[bytes]) -> bytes:
        shown = b"".join(self._shown(entry) for entry in map(parse, lines) if entry is not None)
        if self._left is not None:
            shown = shown[: max(0, self._left)]
            self._left -= len(shown)
        return shown

    def _shown(self, entry: Entry) -> bytes:
        if not self._late_enough:
            # A file is in the order of time: once late enough, always late enough.
            self._late_enough = _seconds(entry.timestamp) >= self._options.since
            if not self._late_enough:
                return b""
        stamped = self._options.timestamps and entry.stream not in self._inside
        if entry.partial:
            self._inside.add(entry.stream)
        else:
            self._inside.discard(entry.stream)
        return entry.timestamp + b" " + entry.text if stamped else entry.text


def _seconds(timestamp: bytes) -> float:
    """Python's parser knows microseconds; the format has nanoseconds."""
    text = timestamp.decode(errors="replace")
    head, dot, tail = text.partition(".")
    digits = tail[: len(tail) - len(tail.lstrip("0123456789"))]
    zone = tail[len(digits) :]
    try:
        return parse_rfc3339(f"{head}{dot}{digits[:6]}{zone}" if dot else text)
    except ValueError:
        return 0.0


def _start(path: Path, tail_lines: int | None) -> int:
    """Where the last so many lines of the program's begin."""
    if tail_lines is None:
        return 0
    try:
        with path.open("rb") as file:
            return _tail(file, tail_lines)
    except FileNotFoundError:
        return 0


def _tail(file: IO[bytes], lines: int) -> int:
    """From the end, in blocks: a long log costs no more than its last lines."""
    position = file.seek(0, os.SEEK_END)
    if lines <= 0:
        return position
    start = position
    for start, line in _backwards(file, position):
        entry = parse(line)
        if entry is None or entry.partial:
            continue
        if lines == 0:
            return start + len(line) + 1
        lines -= 1
    return 0


def _backwards(file: IO[bytes], position: int) -> Iterator[tuple[int, bytes]]:
    """(offset, line) of every whole line before position, the last first."""
    rest = b""
    while position > 0:
        size = min(_BLOCK_BYTES, position)
        position -= size
        file.seek(position)
        block = file.read(size) + rest
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


def _next_block(path: Path, position: int, file_id: int) -> tuple[bytes | None, int]:
    """What is there from position on (b"" if nothing is) and the file's inode; None if it is not
    the file it was (file_id, 0 for any) or has become shorter."""
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if found.st_size < position or file_id not in (0, found.st_ino):
                return None, 0
            file.seek(position)
            return file.read(_PIECE_MAX_BYTES), found.st_ino
    except FileNotFoundError:
        return (None if position else b""), 0
