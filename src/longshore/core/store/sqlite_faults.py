"""What SQLite's result codes mean for a store (sqlite.org/rescode.html), each in one sentence."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from longshore.core.store.protocol import (
    StoreBusy,
    StoreDamaged,
    StoreDenied,
    StoreError,
    StoreFull,
    StoreStopped,
)

WAY_BACK = "restore a backup with `longshore restore FILE`"

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_DENIED = {
    sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_AUTH,
}  # fmt: skip


def of_opening(error: sqlite3.DatabaseError, path: Path) -> StoreError:
    """A store that could not be opened and read through."""
    code = _primary(error)
    if code in _BUSY:
        return StoreBusy(f"{path} is open in another process: stop that one first")
    if code == sqlite3.SQLITE_FULL:
        return StoreFull(f"{path} could not be brought up to date, there is no room left: {error}")
    if code in _DENIED:
        return StoreDenied(f"{path} cannot be opened for writing: {error}")
    return damaged(path, str(error))


def of_writing(error: sqlite3.DatabaseError, path: Path) -> StoreError:
    """A transaction that failed. Without room it has left nothing behind; after any other failure
    (a synchronisation that failed is never repeated by the kernel) nobody knows what the disk has.
    """
    if _primary(error) == sqlite3.SQLITE_FULL:
        return StoreFull(f"no room is left for {path}: {error}")
    return StoreStopped(
        f"{path} takes no writes since one failed ({error}): see to the disk, then restart"
    )


def damaged(path: Path, why: str) -> StoreDamaged:
    return StoreDamaged(f"{path} is damaged ({why}): {WAY_BACK}")


def _primary(error: sqlite3.DatabaseError) -> int:
    """The code without its extension; 0 where Python itself could not make sense of a row."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
