"""Where audit events go: a file of JSON lines, turned over before it is too large."""

from __future__ import annotations

import asyncio
import logging
import os
from datetime import UTC, datetime
from pathlib import Path

from longshore.base.clock import Clock
from longshore.core.objects.errors import Unavailable

log = logging.getLogger("longshore.audit")

_FLUSH_S, _RETRY_S = 0.05, 1.0
BACKLOG_MAX_BYTES = 64 * 1024 * 1024
"""What may wait to be written; beyond it requests are refused rather than not told of."""
FILE_MAX_BYTES = 100 * 1024 * 1024
FILES_MAX = 10


class AuditLog:
    """Lines go out in batches, by a thread. run() writes until cancelled, and what is left then."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        file_max_bytes: int = FILE_MAX_BYTES,
        files_max: int = FILES_MAX,
        backlog_max_bytes: int = BACKLOG_MAX_BYTES,
    ) -> None:
        self._path = path
        self._clock = clock
        self._file_max_bytes = file_max_bytes
        self._files_max = files_max
        self._backlog_max_bytes = backlog_max_bytes
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._wake = asyncio.Event()

    def put(self, line: bytes) -> None:
        """Have a line written soon."""
        self._waiting.append(line)
        self._waiting_bytes += len(line)
        self._wake.set()

    def check_room(self) -> None:
        """Raises Unavailable when too much waits: what cannot be told of is not done."""
        if self._waiting_bytes >= self._backlog_max_bytes:
            raise Unavailable(
                "the audit log cannot be written and too much waits for it: "
                "make room on the disk of the server's log directory"
            )

    async def run(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                await self._clock.sleep(_FLUSH_S)
                await self._flush()
        finally:
            if self._waiting:
                self._write(b"".join(self._waiting))

    async def _flush(self) -> None:
        lines, self._waiting = self._waiting, []
        data = b"".join(lines)
        try:
            await asyncio.to_thread(self._write, data)
        except OSError as error:
            log.error("the audit log cannot be written: %s", error)
            self._waiting[:0] = lines
            self._wake.set()
            await self._clock.sleep(_RETRY_S)
            return
        self._waiting_bytes -= len(data)

    def _write(self, data: bytes) -> None:
        """Whole, or not at all: a half-written batch is cut off again."""
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            before = os.fstat(descriptor).st_size
            if before and before + len(data) > self._file_max_bytes:
                self._turn_over()
                os.close(descriptor)
                descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
                before = 0
            try:
                _write_all(descriptor, data)
            except OSError:
                os.ftruncate(descriptor, before)
                raise
        finally:
            os.close(descriptor)

    def _turn_over(self) -> None:
        """The full file gets the time in its name, and the oldest of them go."""
        now = datetime.fromtimestamp(self._clock.now(), UTC).strftime("%Y-%m-%dT%H-%M-%S.%f")
        self._path.rename(self._path.with_name(f"{self._path.stem}-{now}{self._path.suffix}"))
        full = sorted(self._path.parent.glob(f"{self._path.stem}-*{self._path.suffix}"))
        for old in full[: max(len(full) - self._files_max, 0)]:
            old.unlink()


def _write_all(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
