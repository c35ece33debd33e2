"""What a simulated server keeps its state on: survives the server, stalls, fills up and fails.

Everything that became durable is in the log, in the order in which it did: what the checkers hold
against what users and watchers were told.
"""

from __future__ import annotations

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
    """One write that is durable: key, value (None: deleted), its revision, and when (monotonic)."""

    key: str
    value: bytes | None
    revision: int
    at: float


class Medium:
    """A disk. stall_s is added to every commit; full and broken refuse what comes."""

    def __init__(self, clock: Clock, chance: Chance) -> None:
        self.log: list[Entry] = []
        self.stall_s = 0.0
        self.full = False
        self.broken = False
        self._kept = MemoryStore()
        self._clock = clock
        self._chance = chance

    async def open(self, take: Take) -> int:
        return await self._kept.open(take)

    async def commit(self, writes: Sequence[Write]) -> list[int]:
        """As MemoryStore's, with time passing before and after the writes are durable: a server that
        dies in between has written and told nobody."""
        await self._clock.sleep(self._some() + self.stall_s)
        if self.full:
            raise StoreFull("the simulated disk is full")
        if self.broken and self._chance.below(2):
            raise StoreStopped("the simulated disk failed before it wrote")
        revisions = await self._kept.commit(writes)
        now = self._clock.monotonic()
        self.log += [
            Entry(write.key, write.value, revision, now)
            for write, revision in zip(writes, revisions, strict=True)
            if revision
        ]
        await self._clock.sleep(self._some())
        if self.broken:
            raise StoreStopped("the simulated disk failed after it wrote")
        return revisions

    async def close(self) -> None:
        return None

    def _some(self) -> float:
        return self._chance.uniform(0.0, _COMMIT_S / 2)
