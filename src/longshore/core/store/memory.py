"""The store that forgets: for tests and simulations. Passes the same suite as sqlite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from longshore.core.store.protocol import Guard, Take, Write

Records: TypeAlias = Mapping[str, tuple[bytes, int]]
"""What a store holds: values and their revisions by key."""


class MemoryStore:
    """Keeps everything in a dictionary. Reopening it finds what was committed."""

    def __init__(self, records: Records | None = None, revision: int = 0) -> None:
        """records are what is there from the start, none of them newer than revision."""
        self._records = dict(records or {})
        self._revision = revision

    def records(self) -> Records:
        """All that is there now."""
        return self._records.copy()

    @property
    def revision(self) -> int:
        """That of the last write."""
        return self._revision

    async def open(self, take: Take) -> int:
        for key, (value, revision) in self._records.items():
            take(key, value, revision)
        return self._revision

    async def commit(self, writes: Sequence[Write]) -> list[int]:
        barred = {write.key for write in writes if write.guard and not self._holds(write.guard)}
        return [0 if write.key in barred else self._apply(write) for write in writes]

    async def close(self) -> None:
        return None

    def _at(self, key: str) -> int:
        there = self._records.get(key)
        return there[1] if there else 0

    def _holds(self, guard: Guard) -> bool:
        return self._at(guard.key) == guard.revision

    def _apply(self, write: Write) -> int:
        if self._at(write.key) != write.expect:
            return 0
        self._revision += 1
        if write.value is None:
            self._records.pop(write.key, None)
        else:
            self._records[write.key] = write.value, self._revision
        return self._revision
