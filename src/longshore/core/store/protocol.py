"""What a store promises: keys to bytes, in one order, and nothing acknowledged is ever lost.

The contract. tests/core/store/test_suite.py holds every store to it, where the store itself keeps it.

- One revision for the whole store. It grows with every write, deletes too, is never handed out
  twice, and goes on where it was when the store is opened again.
- Compare and set over many keys. A batch is a sequence of writes, each with the revision its key
  must be at. A write that finds another revision is left out, and no other write with it.
- A write may have a guard: another key, and the revision at which the batch must find it; where it
  does not, the write is left out. So who has lost a Lease writes nothing more in its name.
- Durable means synchronised. commit returns when what it answers for survives a power cut. The
  embedded store writes a batch in one transaction: after a crash all of it is there or nothing. A
  store that has to cut a batch up (etcd bounds a transaction) writes its parts in order.
- What is refused is left alone. A store that is damaged, foreign or of a newer version is refused
  when it is opened, with what to do about it; nothing is mended, cut off or made anew in silence.
- A full disk is no end. A commit without room raises StoreFull and has written nothing; the next
  is tried afresh. A medium that fails to write or to synchronise is one: nobody knows what of the
  last batch it holds, so no write is taken until the store is opened again (StoreStopped).

Who keeps the rest of what etcd's clients know of it:

- Reads of a range at a revision, the window of history and its compaction, and watches from a
  revision with no gap and no double, are the watch cache's (core/watch): it hears of each write
  after it is durable, in order, and holds every key. A store is read once, when it is opened, and
  may forget a value as soon as a newer one is durable.
- A store with several writers (SharedStore) tells each of their writes, in the order of revisions,
  each once, beginning after the revision its open returned. The embedded store has one writer, sees
  to that by a lock, and needs no such feed.
- What a plan rests on besides its own key is a Claim, which such a store compares in the transaction
  of the write. Where there is one writer, plans rest on its own newest state, and nothing is compared.
- Leases with a time to live: the embedded store has none, for with one server nobody can outlive
  it. Objects that end by themselves (Events, Lease objects) are their controllers' matter.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable


class StoreError(Exception):
    """The store failed as a whole; but for StoreStopped, nothing of the batch was written.

    StoreError
    ├── StoreBusy     another process has the store open
    ├── StoreDamaged  what is on disk cannot be trusted: a backup has to be restored
    ├── StoreForeign  what is there is no store of ours
    ├── StoreNewer    a newer version of Longshore wrote it
    ├── StoreDenied   this process may not read or write it
    ├── StoreFull     no room left; a later write may find some
    ├── StoreTooLarge a write is larger than the store takes
    ├── StoreSilent   nobody answers; a later question may be answered
    ├── Compacted     history does not reach back to where a feed was to begin
    ├── Unreadable    a value is sealed, and not by a key at hand (sealing.py)
    └── StoreStopped  the medium failed: no write is taken until the store is opened again
    """


class StoreBusy(StoreError): ...


class StoreDamaged(StoreError): ...


class StoreForeign(StoreError): ...


class StoreNewer(StoreError): ...


class StoreDenied(StoreError): ...


class StoreFull(StoreError): ...


class StoreTooLarge(StoreError): ...


class StoreSilent(StoreError): ...


class StoreStopped(StoreError): ...


class Compacted(StoreError):
    """Read everything anew, and follow from there."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A name that several writers share, and the revision up to which this one knows of it.

    A write with it is made only if no other writer has moved the name since; if moves, it moves the
    name itself, so that others hear of it in the same way. A name that begins with a slash is an
    object's key: every write of the object moves it, one's own too."""

    name: str
    since: int
    moves: bool = True


@dataclass(frozen=True, slots=True)
class Guard:
    """Provided that a key, another one than is written, is at a revision as the batch begins."""

    key: str
    revision: int


@dataclass(frozen=True, slots=True)
class Write:
    """Put value at key, or delete the key if value is None, provided that the key is at revision
    expect (0: that it is absent), that the guard, if there is one, holds, and the claims too."""

    key: str
    value: bytes | None
    expect: int
    guard: Guard | None = None
    claims: tuple[Claim, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """A key got a value, or was deleted if value is None."""

    key: str
    value: bytes | None
    revision: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed, oldest first, and the revision up to which that is all: progress, if empty."""

    made: list[Change]
    revision: int


Take: TypeAlias = Callable[[str, bytes, int], object]
"""Is given one key as it stands: its value, and the revision of the write that put it there."""


class Store(Protocol):
    """Durable, ordered, and a stranger to what the bytes mean. One commit runs at a time."""

    async def open(self, take: Take) -> int:
        """Take hold of the store and hand over all that is in it, one key after another in no
        order, so that it is never in memory twice; the newest revision (of deletes too).

        take may be called in another thread, before this returns. Raises StoreError: then what
        take was given counts for nothing.
        """

    async def commit(self, writes: Sequence[Write]) -> list[int]:
        """Write them all in one durable transaction and return when it is on disk.

        The answer has, in order, each write's revision, or 0 where its expectation did not hold
        (that write alone is left out). A key may stand in a batch once. Revisions only grow.
        Raises StoreError: then nothing was written, or (StoreStopped) nobody can tell.
        """

    async def close(self) -> None: ...


@runtime_checkable
class SharedStore(Store, Protocol):
    """A store that others write to at the same time."""

    async def read(self, take: Take) -> int:
        """As open, without taking hold of the store: what is in it now, and as of which revision."""

    def changes(self, since: int) -> AsyncIterator[Changes]:
        """All changes after a revision, whoever made them, without a gap and none twice, until
        cancelled. Raises Compacted where history does not reach back so far."""

    async def newest(self) -> int:
        """A revision, confirmed by a majority, up to which is all that anybody was told is written
        before this call; changes() will come to it. Raises StoreError if nobody answers."""

    async def run(self) -> None:
        """See to the store's upkeep, until cancelled."""
