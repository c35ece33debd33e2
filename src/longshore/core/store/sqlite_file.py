"""The file of an SQLite store: whose it is, how it is made, and how it is brought up to date.

A new file is made aside and put in its place whole, so that one that is empty, cut short or
without our mark was never ours to fill. Who it belongs to is read from its first hundred bytes
(sqlite.org/fileformat2.html, part 1.3) before SQLite opens it, for opening may write.

Schema versions (PRAGMA user_version):

1. log (revision, key, value), without an application_id.
2. A sum for each row, see sum_of. Rows of version 1 have none: one made afterwards would vouch for
   what may be damaged already, and would write the whole store once more on a disk that may be full.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

from longshore.core.store.protocol import StoreDenied, StoreForeign, StoreNewer
from longshore.core.store.sqlite_faults import WAY_BACK, damaged
from longshore.core.store.sqlite_log import is_broken

APPLICATION_ID = int.from_bytes(b"LngS", "big")
SCHEMA_VERSION = 2

# Of pods at rest (2 to 3 kB) hardly ever two fit into one of the pages that SQLite makes by itself, of
# 4 KiB: the file is a third smaller, and a commit of 250 of them 30 % cheaper. Older files keep theirs.
PAGE_BYTES = 8192

_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES, _MARK_AT = 100, 68
# What is asked for at a time: Linux cuts what is more than the disk takes in one request.
_AHEAD_BYTES = 256 * 1024
_CREATE_1 = "CREATE TABLE log (revision INTEGER PRIMARY KEY, key TEXT NOT NULL, value BLOB)"
_ALL_BITS = 0xFFFFFFFF


def sum_of(revision: int, key: str, value: bytes | None) -> int:
    """CRC-32 of a row, so that a page which the disk returns wrong is noticed: SQLite itself has
    sums for its write-ahead log alone. It costs 0.8 us for a kilobyte."""
    start = zlib.crc32(key.encode(), revision & _ALL_BITS)
    return start ^ _ALL_BITS if value is None else zlib.crc32(value, start)


def is_sound(revision: int, key: str, value: bytes | None, kept: int | None) -> bool:
    """Whether a row is as it was written. A damaged page may give it other types."""
    try:
        return kept is None or kept == sum_of(revision, key, value)
    except (AttributeError, TypeError):
        return False


def opened(path: Path) -> sqlite3.Connection:
    """The store's file, made if it is not there, of this schema version and locked.

    Raises StoreError, or sqlite3.DatabaseError where SQLite finds fault with it.
    """
    try:
        _ensure(path)
        _check_header(path)
    except PermissionError as error:
        raise StoreDenied(f"{path} cannot be opened: {error.strerror}") from error
    connection = _connect(path)
    try:
        version, mark = (
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("user_version", "application_id")
        )  # the first of them takes the lock
        _check_log(connection, path)
        _bring_up_to_date(connection, path, version, mark)
        _configure(connection)
    except BaseException:
        leave(connection, path)
        raise
    return connection


def leave(connection: sqlite3.Connection, path: Path) -> None:
    """Close a store that is refused, and leave its files as they are.

    Closing would copy the log into the database and delete it. It does neither where the database
    is not at its path any more (pager.c, databaseIsUnmoved), so it is away for that moment.
    """
    away = path.with_name(f"{path.name}.refused")
    path.rename(away)
    try:
        connection.close()
    finally:
        away.rename(path)


def _ensure(path: Path) -> None:
    """Make the store if nothing is there. What is left of one that is gone is not overwritten:
    SQLite would throw a log without its database away."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.exists():
        return
    if log_of(path).exists():
        raise damaged(path, "it is gone, but its log is there")
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(descriptor)
    try:
        _make(Path(name))
        os.link(name, path)  # unlike a rename it never replaces what came there meanwhile
    finally:
        os.unlink(name)
    _synchronise(path.parent)


def log_of(path: Path) -> Path:
    """Where SQLite keeps the write-ahead log of a database."""
    return path.with_name(path.name + "-wal")


def _make(path: Path) -> None:
    connection = _connect(path)
    try:
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        _configure(connection)
        _migrate(connection, 0)
    finally:
        connection.close()


def _synchronise(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_header(path: Path) -> None:
    """Refuse what is no store of ours before SQLite opens, and so might change, it."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise StoreForeign(f"{path} is not a file: move it away, or name another place")
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
        if header.startswith(_MAGIC):
            _read_ahead(file.fileno())
    if len(header) < _HEADER_BYTES and _MAGIC.startswith(header[: len(_MAGIC)]):
        raise damaged(path, f"it ends after {len(header)} bytes")
    mark = int.from_bytes(header[_MARK_AT : _MARK_AT + 4], "big")
    if not header.startswith(_MAGIC) or mark not in (0, APPLICATION_ID):
        raise _foreign(path)


def _read_ahead(descriptor: int) -> None:
    """Ask the system for the file. Its rows are read newest first, from the end, and what is read
    backwards the system does not fetch ahead by itself: 400 MB of a disk took 20 s, and take 1.6.

    Before SQLite opens it: the locks of a process on a file end when any descriptor is closed.
    """
    if not hasattr(os, "posix_fadvise"):
        return
    for at in reversed(range(0, os.fstat(descriptor).st_size, _AHEAD_BYTES)):
        os.posix_fadvise(descriptor, at, _AHEAD_BYTES, os.POSIX_FADV_WILLNEED)


def _foreign(path: Path) -> StoreForeign:
    return StoreForeign(f"{path} is not a store of Longshore and was not touched: {WAY_BACK}")


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0)
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    return connection


def _configure(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    # Checkpoints are the store's own: SQLite keeps their failures to itself, and one that could not
    # be synchronised must not be taken for done at the second try.
    connection.execute("PRAGMA wal_autocheckpoint = 0")


def _check_log(connection: sqlite3.Connection, path: Path) -> None:
    """Under the lock, for a log that is being written to looks like anything."""
    log = log_of(path)
    page_bytes = connection.execute("PRAGMA page_size").fetchone()[0]
    if log.exists() and is_broken(log.read_bytes(), page_bytes):
        raise damaged(path, "its log is broken in front of transactions that were complete")


def _bring_up_to_date(connection: sqlite3.Connection, path: Path, version: int, mark: int) -> None:
    tables = connection.execute("SELECT sql FROM sqlite_master").fetchall()
    if mark != APPLICATION_ID and (version, tables) != (1, [(_CREATE_1,)]):
        raise _foreign(path)
    if version > SCHEMA_VERSION:
        raise StoreNewer(
            f"{path} has schema version {version}, this Longshore reads up to {SCHEMA_VERSION}: "
            f"use the version that wrote it, or {WAY_BACK}"
        )
    if version < SCHEMA_VERSION:
        _configure(connection)
        _migrate(connection, version)


def _migrate(connection: sqlite3.Connection, version: int) -> None:
    """From that version to this one, in one transaction: a crash leaves the old or the new."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in _MIGRATIONS[version:]:
            step(connection)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except sqlite3.DatabaseError:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _create(connection: sqlite3.Connection) -> None:
    connection.execute(_CREATE_1)


def _add_sums(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE log ADD COLUMN sum INTEGER")


# Each leads from the version that is its place in the row to the next.
_MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (_create, _add_sums)
