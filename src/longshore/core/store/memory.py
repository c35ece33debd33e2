"""The store that forgets: for tests and simulations. Passes the same suite as sqlite."""

from __future__ import annotations

from collections.abc import Sequence

from longshore.core.store.protocol import Take, Write


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
        return [self._apply(write) for write in writes]

    async def close(self) -> None:
        return None

    def _apply(self, write: Write) -> int:
        at = self._records.get(write.key)
        if (at[1] if at else 0) != write.expect:
            return 0
        self._revision += 1
        if write.value is None:
            self._records.pop(write.key, None)
        else:
            self._records[write.key] = write.value, self._revision
        return self._revision
