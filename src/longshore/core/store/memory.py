"""The store that forgets: for tests and simulations. Passes the same suite as sqlite."""

from __future__ import annotations

from collections.abc import Sequence

from longshore.core.store.protocol import Guard, Take, Write


class MemoryStore:
    """Keeps everything in a dictionary. Reopening it finds what was committed."""

    def __init__(self) -> None:
        self._records: dict[str, tuple[bytes, int]] = {}
        self._revision = 0

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
