"""The embedded store: one SQLite file in WAL mode with full synchronisation.

One append-only log table keyed by revision, and the index from keys to revisions in memory: a
quarter of the cost of a table keyed by text. Rows that newer ones replace are swept in batches.
A commit runs in the store's own thread, so that the next batch gathers while the disk works.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from longshore.core.store.protocol import (
    StoreBusy,
    StoreDamaged,
    StoreError,
    StoreFull,
    Take,
    Write,
)

T = TypeVar("T")
log = logging.getLogger("longshore.store")

SCHEMA_VERSION = 1
# Replaced rows are swept this many at a time: one sweep costs a few milliseconds of the thread.
SWEEP_BATCH = 4096
# ... and not in the middle of a burst (a commit of so many rows), unless that many have gathered.
BURST_ROWS, SWEEP_LATEST = 64, 16 * SWEEP_BATCH

_CREATE = "CREATE TABLE log (revision INTEGER PRIMARY KEY, key TEXT NOT NULL, value BLOB)"
# Each step of a statement lets go of the interpreter and has to win it back from a busy server, so
# many rows go in at once: sizes of the INSERT statements that are kept prepared.
_ROWS_AT_ONCE = (256, 64, 16, 4, 1)
_INSERTS = {
    rows: "INSERT INTO log (revision, key, value) VALUES " + ", ".join(["(?, ?, ?)"] * rows)
    for rows in _ROWS_AT_ONCE
}
_READ = "SELECT revision, key, value FROM log ORDER BY revision DESC"
# While it is read at start the file is mapped, up to this size, rather than copied page by page.
_MAPPED_BYTES = 1 << 31


class SqliteStore:
    """One cluster's state in one file, opened by one process at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._connection: sqlite3.Connection | None = None
        self._index: dict[str, int] = {}
        self._revision = 0
        self._replaced: list[tuple[int]] = []

    async def open(self, take: Take) -> int:
        return await self._in_thread(lambda: self._open(take))

    async def commit(self, writes: Sequence[Write]) -> list[int]:
        return await self._in_thread(lambda: self._commit(writes))

    async def close(self) -> None:
        await self._in_thread(self._close)
        self._thread.shutdown()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _open(self, take: Take) -> int:
        try:
            self._connection = self._connect()
            self._connection.execute(f"PRAGMA mmap_size = {_MAPPED_BYTES}")
            self._read(self._connection, take)
            self._connection.execute("PRAGMA mmap_size = 0")
        except sqlite3.DatabaseError as error:
            raise _translated(error, self._path) from error
        return self._revision

    def _read(self, connection: sqlite3.Connection, take: Take) -> None:
        """Newest first: what comes later of a key is known to be replaced."""
        index, deleted = self._index, set[str]()
        for revision, key, value in connection.execute(_READ):
            self._revision = self._revision or revision
            if key not in index and key not in deleted and value is not None:
                index[key] = revision
                take(key, value, revision)
                continue
            self._replaced.append((revision,))
            if key not in index:
                deleted.add(key)
        self._replaced.reverse()

    def _connect(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path.touch(mode=0o600)
        connection = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, timeout=0
        )
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(_CREATE)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute("COMMIT")
        elif version != SCHEMA_VERSION:
            connection.close()
            raise StoreDamaged(
                f"{self._path} has schema version {version}, this Longshore reads "
                f"{SCHEMA_VERSION}: use the version that wrote it"
            )
        return connection

    def _commit(self, writes: Sequence[Write]) -> list[int]:
        assert self._connection is not None, "commit before open"
        revisions, rows = self._number(writes)
        try:
            self._insert(self._connection, rows)
        except sqlite3.DatabaseError as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise _translated(error, self._path) from error
        for revision, key, value in rows:
            self._note(key, revision, value is None)
        self._revision += len(rows)
        enough = SWEEP_BATCH if len(rows) < BURST_ROWS else SWEEP_LATEST
        if len(self._replaced) >= enough:
            self._sweep()
        return revisions

    def _insert(
        self, connection: sqlite3.Connection, rows: list[tuple[int, str, bytes | None]]
    ) -> None:
        chunks = list(_chunks(rows))
        if len(chunks) == 1:  # a statement by itself is a transaction
            connection.execute(*chunks[0])
            return
        connection.execute("BEGIN IMMEDIATE")
        for statement, values in chunks:
            connection.execute(statement, values)
        connection.execute("COMMIT")

    def _number(
        self, writes: Sequence[Write]
    ) -> tuple[list[int], list[tuple[int, str, bytes | None]]]:
        revisions: list[int] = []
        rows: list[tuple[int, str, bytes | None]] = []
        index, revision = self._index, self._revision
        for write in writes:
            if index.get(write.key, 0) != write.expect:
                revisions.append(0)
                continue
            revision += 1
            revisions.append(revision)
            rows.append((revision, write.key, write.value))
        return revisions, rows

    def _note(self, key: str, revision: int, deleted: bool) -> None:
        before = self._index.get(key)
        if before is not None:
            self._replaced.append((before,))
        if deleted:
            self._index.pop(key, None)
            self._replaced.append((revision,))
        else:
            self._index[key] = revision

    def _sweep(self) -> None:
        """Delete the oldest replaced rows, but never the newest of all: it remembers the revision.

        Oldest first, so that a key's value never outlives the record of its deletion. The commit
        before is done and answered for: a sweep that fails is only put off.
        """
        assert self._connection is not None
        swept = self._replaced[:SWEEP_BATCH]
        doomed = [row for row in swept if row[0] != self._revision]
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany("DELETE FROM log WHERE revision = ?", doomed)
            self._connection.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            log.warning("%s: replaced rows could not be swept: %s", self._path, error)
            return
        kept = [row for row in swept if row[0] == self._revision]
        self._replaced = kept + self._replaced[SWEEP_BATCH:]

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _chunks(
    rows: list[tuple[int, str, bytes | None]],
) -> Iterator[tuple[str, list[int | str | bytes | None]]]:
    """The rows as few statements as can be, each with its values."""
    at = 0
    for size in _ROWS_AT_ONCE:
        while len(rows) - at >= size:
            yield _INSERTS[size], [value for row in rows[at : at + size] for value in row]
            at += size


def _translated(error: sqlite3.DatabaseError, path: Path) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreBusy(f"{path} is open in another process: stop that one first")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreDamaged(f"{path} cannot be read as a store: {error}; restore it from a backup")
    return StoreFull(f"{path} could not be written: {error}")
