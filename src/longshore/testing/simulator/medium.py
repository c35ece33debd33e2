"""What a simulated server keeps its state on: survives the server, stalls, fills up and fails.

Everything that became durable is in the log, in the order in which it did: what the checkers hold
against what users and watchers were told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from longshore.base.chance import Chance
from longshore.base.clock import Clock
from longshore.core.store.memory import MemoryStore
from longshore.core.store.protocol import StoreFull, StoreStopped, Take, Write

# What an ordinary commit takes, at most, in seconds: a disk's fsync.
_COMMIT_S = 0.004


@dataclass(frozen=True, slots=True)
class Entry:
    """One write that is durable: key, value (None: deleted), its revision, when (monotonic), and
    which of several servers wrote it."""

    key: str
    value: bytes | None
    revision: int
    at: float
    writer: str = ""


class Medium:
    """A disk. stall_s is added to every commit; full and broken refuse what comes."""

    def __init__(self, clock: Clock, chance: Chance) -> None:
        self.log: list[Entry] = []
        self.stall_s = 0.0
        self.full = False
        self.broken = False
        self.clock = clock
        self._kept = MemoryStore()
        self._chance = chance
        self._listening: list[asyncio.Future[None]] = []

    async def open(self, take: Take) -> int:
        return await self._kept.open(take)

    async def commit(self, writes: Sequence[Write]) -> list[int]:
        """As MemoryStore's, with time passing before and after the writes are durable: a server that
        dies in between has written and told nobody."""
        await self.clock.sleep(self.some() + self.stall_s)
        self.check_room()
        if self.broken and self._chance.below(2):
            raise StoreStopped("the simulated disk failed before it wrote")
        revisions = await self.make(writes)
        await self.clock.sleep(self.some())
        if self.broken:
            raise StoreStopped("the simulated disk failed after it wrote")
        return revisions

    async def close(self) -> None:
        return None

    def check_room(self) -> None:
        """Raises StoreFull."""
        if self.full:
            raise StoreFull("the simulated disk is full")

    async def make(self, writes: Sequence[Write], writer: str = "") -> list[int]:
        """Make them durable, at once."""
        revisions, now = await self._kept.commit(writes), self.clock.monotonic()
        self.log += [
            Entry(write.key, write.value, revision, now, writer)
            for write, revision in zip(writes, revisions, strict=True)
            if revision
        ]
        listening, self._listening = self._listening, []
        for one in listening:
            if not one.done():
                one.set_result(None)
        return revisions

    async def news(self) -> None:
        """Return after the next write."""
        heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._listening.append(heard)
        await heard

    def some(self) -> float:
        """What a moment is, in seconds, for this medium."""
        return self._chance.uniform(0.0, _COMMIT_S / 2)
