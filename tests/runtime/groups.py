"""Who is in control groups."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from longshore.base.clock import SystemClock
from longshore.machinery.runtime.oci import cgroups


def commands_in(group: str) -> dict[int, bytes]:
    """What everybody in a group or below it runs, by pid. Who has just gone is not among them."""
    found = {}
    for pid in cgroups.processes(group):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found[pid] = Path(f"/proc/{pid}/cmdline").read_bytes()
    return found


async def gone(group: str, *commands: bytes) -> None:
    """Wait until nobody there runs any of these, or without them until nobody is there at all: who was
    killed takes a moment to go."""
    async with asyncio.timeout(60):
        while (there := commands_in(group)) and (not commands or {*commands} & {*there.values()}):
            await SystemClock().sleep(0.005)
