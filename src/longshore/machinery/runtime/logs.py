"""Reads the logs that container runtimes write (log_format.py), as `kubectl logs` prints them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

from longshore.base.clock import Clock, parse_rfc3339
from longshore.core.streams.protocols import LogOptions
from longshore.machinery.runtime.log_files import LogFiles
from longshore.machinery.runtime.log_format import Entry, parse, text_of

# How often a followed file is looked at. A container's log has no one to announce it.
FOLLOW_PERIOD_S = 0.1
_PIECE_MAX_BYTES = 256 * 1024
_UTC = b"+00:00"


async def read(
    path: Path, options: LogOptions, clock: Clock, ended: Callable[[], bool]
) -> AsyncIterator[bytes]:
    """The log in pieces, with what of it was rotated. With follow, until ended() says that nothing more
    will be written, and all that was has been read. A file that is not there yet is an empty one."""
    printer, files = _Printer(options), LogFiles(path, follow=options.follow)
    try:
        if options.tail_lines is not None:
            await files.skip_to_tail(options.tail_lines)
        rest = b""
        while not printer.full:
            last_look = not options.follow or ended()
            read_on = await files.read(_PIECE_MAX_BYTES)
            *lines, rest = (rest + read_on).split(b"\n")
            if piece := printer.print(lines):
                yield piece
            if read_on:
                continue
            if last_look:
                return
            await clock.sleep(FOLLOW_PERIOD_S)
    finally:
        files.close()


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
        if self._late_enough and not self._options.timestamps:
            shown = b"".join(map(text_of, lines))
        else:
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
        return _rfc3339(entry.timestamp) + b" " + entry.text if stamped else entry.text


def _rfc3339(timestamp: bytes) -> bytes:
    """UTC is Z, whatever the runtime writes: `kubectl logs --timestamps` is compared as text."""
    return timestamp.removesuffix(_UTC) + b"Z" if timestamp.endswith(_UTC) else timestamp


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
