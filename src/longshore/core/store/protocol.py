"""What a store promises: keys to bytes, in one order, and nothing acknowledged is ever lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias


class StoreError(Exception):
    """The store failed as a whole; nothing of the batch was written.

    StoreError
    ├── StoreBusy     another process has the store open
    ├── StoreDamaged  what is on disk cannot be read
    └── StoreFull     no room left, or the medium refused the write
    """


class StoreBusy(StoreError): ...


class StoreDamaged(StoreError): ...


class StoreFull(StoreError): ...


@dataclass(frozen=True, slots=True)
class Write:
    """Put value at key, or delete the key if value is None, provided that the key is at revision
    expect (0: that it is absent)."""

    key: str
    value: bytes | None
    expect: int


Take: TypeAlias = Callable[[str, bytes, int], object]
"""Is given one key as it stands: its value, and the revision of the write that put it there."""


class Store(Protocol):
    """Durable, ordered, and a stranger to what the bytes mean. One commit runs at a time."""

    async def open(self, take: Take) -> int:
        """Take hold of the store and hand over all that is in it, one key after another in no
        order, so that it is never in memory twice; the newest revision (of deletes too).

        take may be called in another thread, before this returns. Raises StoreBusy or StoreDamaged.
        """

    async def commit(self, writes: Sequence[Write]) -> list[int]:
        """Write them all in one durable transaction and return when it is on disk.

        The answer has, in order, each write's revision, or 0 where its expectation did not hold
        (that write alone is left out). A key may stand in a batch once. Revisions only grow.
        Raises StoreError: then nothing was written.
        """

    async def close(self) -> None: ...
