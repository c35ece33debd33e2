"""A whole check of an SQLite store that is not open: `longshore doctor --store`."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from longshore.core.store import sqlite_faults, sqlite_file
from longshore.core.store.protocol import StoreError

# One line each is what a person can read.
FAULTS_MAX = 10


def faults(path: Path) -> list[str]:
    """What is wrong with a store, at most FAULTS_MAX sentences; none if it is sound.

    SQLite's integrity_check (the trees, the order of their keys, free pages) and every row's sum.
    0.6 s for 400 MB. Like any opening it completes what a crash left to do, schema and log.
    """
    if not path.exists():
        return [f"there is no store at {path}"]
    try:
        connection = sqlite_file.opened(path)
    except sqlite3.DatabaseError as error:
        return [str(sqlite_faults.of_opening(error, path))]
    except StoreError as error:
        return [str(error)]
    try:
        return _found(connection)[:FAULTS_MAX]
    except sqlite3.DatabaseError as error:
        return [str(sqlite_faults.of_opening(error, path))]
    finally:
        connection.close()


def _found(connection: sqlite3.Connection) -> list[str]:
    told = [line for (line,) in connection.execute(f"PRAGMA integrity_check({FAULTS_MAX})")]
    if told != ["ok"]:
        return told
    return [
        f"the row of revision {row[0]} changed since it was written"
        for row in connection.execute("SELECT revision, key, value, sum FROM log")
        if not sqlite_file.is_sound(*row)
    ]
