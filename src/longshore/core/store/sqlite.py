"""The embedded store: one SQLite file in WAL mode with full synchronisation.

One append-only log table keyed by revision, and the index from keys to revisions in memory: a
quarter of the cost of a table keyed by text. Rows that newer ones replace are swept in batches.
A commit runs in the store's own thread, so that the next batch gathers while the disk works; what
is to be tidied up (replaced rows, the write-ahead log) is done there after a commit is answered.

At start every row is read, checked against its sum and handed over. That finds what SQLite's own
quick_check finds of the table, which is all of the file but its free pages, and what it does not
look for: a value that changed. For 100,000 pods of 3 kB the sums cost 0.15 s of 1.4 s; quick_check
would cost 0.3 s more, and is left to whoever asks (sqlite_check). The file is read, not mapped: a
map gains 0.1 s, and a disk that fails under it ends the process by SIGBUS without a word.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias, TypeVar

from longshore.core.store import sqlite_faults, sqlite_file
from longshore.core.store.protocol import StoreError, StoreFull, StoreStopped, Take, Write
from longshore.core.store.sqlite_file import PAGE_BYTES, is_sound, sum_of

T = TypeVar("T")
Row: TypeAlias = tuple[int, str, bytes | None, int]
log = logging.getLogger("longshore.store")

# Replaced rows are swept when so many have gathered, in steps between which commits have their turn: a
# step costs some milliseconds of the thread.
SWEEP_BATCH, SWEEP_STEP = 4096, 256
# ... and not in the middle of a burst (a commit of so many rows), unless that many have gathered.
BURST_ROWS, SWEEP_LATEST = 64, 16 * SWEEP_BATCH

# The write-ahead log is copied into the database when it is about that long: half of what SQLite would
# wait for, since commits wait meanwhile, some 15 ms. It costs a commit's pods 3 us each. A commit takes
# about that many pages beside its values; a swept row one.
LOG_BYTES, COMMIT_PAGES = 2_000_000, 3

# Each step of a statement lets go of the interpreter and has to win it back from a busy server, so
# many rows go in at once: sizes of the INSERT statements that are kept prepared.
_ROWS_AT_ONCE = (256, 128, 64, 32, 16, 8, 4, 2, 1)
_INSERTS = {
    rows: "INSERT INTO log (revision, key, value, sum) VALUES " + ", ".join(["(?, ?, ?, ?)"] * rows)
    for rows in _ROWS_AT_ONCE
}
_READ = "SELECT revision, key, value, sum FROM log ORDER BY revision DESC"


class SqliteStore:
    """One cluster's state in one file, opened by one process at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._connection: sqlite3.Connection | None = None
        self._index: dict[str, int] = {}
        self._revision = 0
        self._replaced: list[tuple[int]] = []
        self._to_sweep = 0
        self._logged = 0
        self._full = False
        self._stopped: StoreStopped | None = None

    async def open(self, take: Take) -> int:
        """In the caller's thread, as nobody is served yet: in another one, glibc's malloc asks the
        system for each value (its arena grows a page at a time), which is a sixth of the time."""
        return self._open(take)

    async def commit(self, writes: Sequence[Write]) -> list[int]:
        return await self._in_thread(lambda: self._commit(writes))

    def begin_above(self, revision: int) -> None:
        """Number what is written from now on above a revision: in a store that is restored, no
        revision that a client may have seen comes again with other contents."""
        self._revision = max(self._revision, revision)

    async def close(self) -> None:
        await self._in_thread(self._close)
        self._thread.shutdown()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _open(self, take: Take) -> int:
        try:
            connection = sqlite_file.opened(self._path)
            try:
                self._read(connection, take)
            except BaseException:
                sqlite_file.leave(connection, self._path)
                raise
        except sqlite3.DatabaseError as error:
            raise sqlite_faults.of_opening(error, self._path) from error
        self._connection = connection
        return self._revision

    def _read(self, connection: sqlite3.Connection, take: Take) -> None:
        """Newest first: what comes later of a key is known to be replaced."""
        index, deleted = self._index, set[str]()
        for revision, key, value, kept in connection.execute(_READ):
            self._revision = self._revision or revision
            if not is_sound(revision, key, value, kept):
                raise sqlite_faults.damaged(self._path, f"the row of revision {revision} changed")
            if key not in index and key not in deleted and value is not None:
                index[key] = revision
                take(key, value, revision)
                continue
            self._replaced.append((revision,))
            if key not in index:
                deleted.add(key)
        self._replaced.reverse()

    def _commit(self, writes: Sequence[Write]) -> list[int]:
        assert self._connection is not None, "commit before open"
        if self._stopped is not None:
            raise StoreStopped(*self._stopped.args)
        revisions, rows = self._number(writes)
        try:
            self._insert(self._connection, rows)
        except sqlite3.DatabaseError as error:
            fault = self._failed(error)
            self._logged = LOG_BYTES  # an emptied log may be all the room that is needed
            self._thread.submit(self._tidy)
            raise fault from error
        if self._full:
            self._full = False
            log.warning("%s: there is room again, writes go on", self._path)
        for revision, key, value, _ in rows:
            self._note(key, revision, value is None)
            self._logged += len(value or b"")
        self._revision += len(rows)
        self._logged += COMMIT_PAGES * PAGE_BYTES
        enough = SWEEP_BATCH if len(rows) < BURST_ROWS else SWEEP_LATEST
        if not self._to_sweep and len(self._replaced) >= enough:
            self._to_sweep = SWEEP_BATCH
            self._thread.submit(self._tidy)
        elif self._logged >= LOG_BYTES:
            self._thread.submit(self._tidy)
        return revisions

    def _failed(self, error: sqlite3.DatabaseError) -> StoreError:
        """What a transaction's end means, after it is taken back."""
        assert self._connection is not None
        with contextlib.suppress(sqlite3.DatabaseError):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        fault = sqlite_faults.of_writing(error, self._path)
        if isinstance(fault, StoreStopped):
            self._stopped = fault
        if not self._full:
            log.error("%s", fault)
        self._full = isinstance(fault, StoreFull)
        return fault

    def _insert(self, connection: sqlite3.Connection, rows: list[Row]) -> None:
        chunks = list(_chunks(rows))
        if len(chunks) == 1:  # a statement by itself is a transaction
            connection.execute(*chunks[0])
            return
        connection.execute("BEGIN IMMEDIATE")
        for statement, values in chunks:
            connection.execute(statement, values)
        connection.execute("COMMIT")

    def _number(self, writes: Sequence[Write]) -> tuple[list[int], list[Row]]:
        revisions: list[int] = []
        rows: list[Row] = []
        index, revision = self._index, self._revision
        for write in writes:
            guard = write.guard
            if index.get(write.key, 0) != write.expect or (
                guard is not None and index.get(guard.key, 0) != guard.revision
            ):
                revisions.append(0)
                continue
            revision += 1
            revisions.append(revision)
            sum_kept = sum_of(revision, write.key, write.value)
            rows.append((revision, write.key, write.value, sum_kept))
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

    def _tidy(self) -> None:
        """Sweep what is to be swept, a step at a time, and empty the log if it is long. The commit
        before is done and answered for: without room this is only put off, and said in the log."""
        if self._connection is None or self._stopped is not None:
            return
        try:
            if self._to_sweep:
                self._sweep(self._connection, min(self._to_sweep, SWEEP_STEP))
            if self._logged >= LOG_BYTES:
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
                self._logged = 0
        except sqlite3.DatabaseError as error:
            self._to_sweep = 0
            self._failed(error)
        if self._to_sweep:
            self._thread.submit(self._tidy)

    def _sweep(self, connection: sqlite3.Connection, count: int) -> None:
        """Delete so many of the oldest replaced rows, but never the newest of all: it remembers the revision.

        Oldest first, so that a key's value never outlives the record of its deletion.
        """
        swept = self._replaced[:count]
        doomed = [row for row in swept if row[0] != self._revision]
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("DELETE FROM log WHERE revision = ?", doomed)
        connection.execute("COMMIT")
        self._logged += len(doomed) * PAGE_BYTES
        kept = [row for row in swept if row[0] == self._revision]
        self._replaced = kept + self._replaced[count:]
        self._to_sweep -= count

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _chunks(rows: list[Row]) -> Iterator[tuple[str, list[int | str | bytes | None]]]:
    """The rows as few statements as can be, each with its values."""
    at = 0
    for size in _ROWS_AT_ONCE:
        while len(rows) - at >= size:
            yield _INSERTS[size], [value for row in rows[at : at + size] for value in row]
            at += size
