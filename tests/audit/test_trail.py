"""The file of the audit log: whole, private, turned over, and never a reason to go on untold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from longshore.core.objects.errors import Unavailable
from longshore.doors.kubernetes.audit.trail import AuditLog
from longshore.testing.clock import VirtualClock, settle
from tests.threads import no_threads


@asynccontextmanager
async def running(path: Path, **limits: Any) -> AsyncIterator[tuple[AuditLog, VirtualClock]]:
    no_threads()
    clock = VirtualClock()
    log = AuditLog(path, clock, **limits)
    async with asyncio.TaskGroup() as crew:
        task = crew.create_task(log.run())
        await settle()
        yield log, clock
        task.cancel()


async def flushed(clock: VirtualClock, path: Path, content: bytes) -> None:
    """Let the turn of the log come, or that of another try."""
    for _ in range(200):
        await clock.advance(0.1)
        if path.exists() and path.read_bytes() == content:
            return
        await asyncio.to_thread(path.exists)
    raise AssertionError(f"{path} does not hold {content!r}")


async def test_lines_are_kept_in_order_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    async with running(path) as (log, clock):
        log.put(b"one\n")
        log.put(b"two\n")
        await flushed(clock, path, b"one\ntwo\n")
        log.put(b"three\n")
    assert path.read_bytes() == b"one\ntwo\nthree\n", "also what waited when the server stopped"
    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_full_file_is_turned_over_and_the_oldest_go(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    async with running(path, file_max_bytes=10, files_max=2) as (log, clock):
        for number in range(5):
            log.put(b"line %d \n" % number)
            await flushed(clock, path, b"line %d \n" % number)
            await clock.advance(1.0)
    older = sorted(tmp_path.glob("audit-*.log"))
    assert [file.read_bytes() for file in older] == [b"line 2 \n", b"line 3 \n"]
    assert path.read_bytes() == b"line 4 \n"


async def test_what_cannot_be_written_waits_and_then_nothing_more_is_done(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "audit.log"
    async with running(path, backlog_max_bytes=20) as (log, clock):
        log.put(b"a line \n")
        await clock.advance(1.0)
        log.check_room()
        log.put(b"and another one\n")
        with pytest.raises(Unavailable, match="the audit log cannot be written"):
            log.check_room()
        path.parent.mkdir()
        await flushed(clock, path, b"a line \nand another one\n")
        log.check_room()
    assert path.read_bytes() == b"a line \nand another one\n"
