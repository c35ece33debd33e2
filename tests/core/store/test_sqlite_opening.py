"""What is refused when an SQLite store is opened, in which words, and that it is left as it is."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from longshore.core.store import sqlite_check
from longshore.core.store.protocol import (
    StoreBusy,
    StoreDamaged,
    StoreError,
    StoreForeign,
    StoreNewer,
    Write,
)
from longshore.core.store.sqlite import SqliteStore
from longshore.core.store.sqlite_file import (
    APPLICATION_ID,
    SCHEMA_VERSION,
    log_of,
)
from longshore.core.store.sqlite_file import PAGE_BYTES as PAGE

from .test_suite import Contents, opened

ROWS = 200
VALUE = b"v" * 2000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "s.db"


async def filled(path: Path) -> None:
    """A store of ROWS keys, closed in good order."""
    store = SqliteStore(path)
    await opened(store)
    await store.commit([Write(f"/k/{number:03}", VALUE, 0) for number in range(ROWS)])
    await store.close()


async def contents(path: Path) -> Contents:
    store = SqliteStore(path)
    try:
        found, _ = await opened(store)
        return found
    finally:
        await store.close()


async def refused(path: Path, error: type[StoreError], *words: str) -> None:
    """The store is refused twice with the same words, and not a byte of it changes."""
    before = path.read_bytes() if path.is_file() else None
    for _ in range(2):
        with pytest.raises(error) as told:
            await contents(path)
        for word in (str(path), *words):
            assert word in str(told.value)
    assert (path.read_bytes() if path.is_file() else None) == before


async def test_a_second_process_cannot_open_it(path: Path) -> None:
    first = SqliteStore(path)
    await opened(first)
    await first.commit([Write("/a", b"1", 0)])
    with pytest.raises(StoreBusy, match="open in another process"):
        await contents(path)
    await first.close()


async def test_the_file_is_its_owners_alone_and_alone_there(path: Path) -> None:
    store = SqliteStore(path)
    await opened(store)
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0
    await store.close()
    assert [one.name for one in path.parent.iterdir()] == [path.name]


async def test_somebody_elses_file_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database, but somebody's letter" * 100)
    await refused(path, StoreForeign, "not a store of Longshore", "longshore restore FILE")


@pytest.mark.parametrize("mark", [0, 7])
async def test_somebody_elses_database_is_refused(path: Path, mark: int) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as theirs:
        theirs.execute(f"PRAGMA application_id = {mark}")
        theirs.execute("PRAGMA user_version = 1")
        theirs.execute("CREATE TABLE log (revision INTEGER PRIMARY KEY, message TEXT)")
    theirs.close()
    await refused(path, StoreForeign, "not a store of Longshore")


async def test_a_directory_is_refused(path: Path) -> None:
    path.mkdir(parents=True)
    await refused(path, StoreForeign, "is not a file")


@pytest.mark.parametrize("size", [0, 1, 50])
async def test_a_file_cut_down_to_less_than_its_header_is_refused(path: Path, size: int) -> None:
    await filled(path)
    os.truncate(path, size)
    await refused(path, StoreDamaged, f"it ends after {size} bytes", "longshore restore FILE")


async def test_a_truncated_file_is_refused_wherever_it_is_cut(path: Path) -> None:
    await filled(path)
    whole = path.read_bytes()
    for size in (100, PAGE - 1, PAGE, PAGE + 1, len(whole) // 2, len(whole) - PAGE, len(whole) - 1):
        path.write_bytes(whole[:size])
        await refused(path, StoreDamaged, "is damaged", "longshore restore FILE")


async def test_a_log_without_its_database_is_refused_and_kept(path: Path) -> None:
    path.parent.mkdir()
    log_of(path).write_bytes(b"all that is left")
    await refused(path, StoreDamaged, "it is gone, but its log is there")
    assert log_of(path).read_bytes() == b"all that is left"


async def test_a_byte_that_changed_in_a_value_or_key_is_noticed(path: Path) -> None:
    await filled(path)
    whole = path.read_bytes()
    for word in (b"/k/150", VALUE[:100]):
        changed = bytearray(whole)
        changed[whole.index(word) + 5] ^= 1
        path.write_bytes(changed)
        await refused(path, StoreDamaged, "the row of revision", "longshore restore FILE")


async def test_pages_of_rubbish_are_noticed(path: Path) -> None:
    await filled(path)
    whole = path.read_bytes()
    for page in range(1, len(whole) // PAGE):
        path.write_bytes(whole[: page * PAGE] + b"\xa5" * PAGE + whole[(page + 1) * PAGE :])
        await refused(path, StoreDamaged)


async def test_a_newer_schema_is_refused_by_name(path: Path) -> None:
    await filled(path)
    with sqlite3.connect(path) as newer:
        newer.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    newer.close()
    await refused(
        path,
        StoreNewer,
        f"has schema version {SCHEMA_VERSION + 1}, this Longshore reads up to {SCHEMA_VERSION}",
        "use the version that wrote it",
    )


def of_version_1(path: Path) -> None:
    """A store as version 1 wrote it, killed before it came to close."""
    path.parent.mkdir()
    script = """if True:
        import os, sqlite3, sys
        old = sqlite3.connect(sys.argv[1], isolation_level=None)
        old.execute("PRAGMA locking_mode = EXCLUSIVE")
        old.execute("PRAGMA journal_mode = WAL")
        old.execute(
            "CREATE TABLE log (revision INTEGER PRIMARY KEY, key TEXT NOT NULL, value BLOB)")
        old.execute("PRAGMA user_version = 1")
        rows = [(1, "/a", b"1"), (2, "/b", b"2"), (3, "/a", None)]
        old.executemany("INSERT INTO log VALUES (?, ?, ?)", rows)
        os._exit(0)
    """
    subprocess.run([sys.executable, "-c", script, str(path)], check=True)


async def test_a_store_of_version_1_is_opened_and_brought_up_to_date(path: Path) -> None:
    of_version_1(path)
    store = SqliteStore(path)
    assert await opened(store) == ([("/b", b"2", 2)], 3)
    assert await store.commit([Write("/c", b"3", 0)]) == [4]
    await store.close()
    assert await contents(path) == [("/b", b"2", 2), ("/c", b"3", 4)]
    with sqlite3.connect(path) as now:
        assert now.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert now.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        sums = now.execute("SELECT revision, sum IS NULL FROM log ORDER BY revision").fetchall()
    now.close()
    assert sums == [(1, 1), (2, 1), (3, 1), (4, 0)]


async def test_a_whole_check_names_every_row_that_changed(path: Path) -> None:
    assert sqlite_check.faults(path) == [f"there is no store at {path}"]
    await filled(path)
    assert sqlite_check.faults(path) == []
    with sqlite3.connect(path) as changing:
        changing.execute("UPDATE log SET value = 'text' WHERE revision = 7")
        changing.execute("UPDATE log SET key = '/k/x' WHERE revision = 9")
        changing.execute("UPDATE log SET value = NULL WHERE revision = 11")
    changing.close()
    told = [f"the row of revision {at} changed since it was written" for at in (7, 9, 11)]
    assert sqlite_check.faults(path) == told


async def test_a_whole_check_finds_what_a_start_does_not_look_at(path: Path) -> None:
    await filled(path)
    with sqlite3.connect(path) as emptied:
        emptied.execute("DELETE FROM log WHERE revision < 150")
    emptied.close()
    whole = path.read_bytes()
    free = int.from_bytes(whole[32:36], "big")  # the first page of the list of free ones
    path.write_bytes(whole[: (free - 1) * PAGE] + b"\xa5" * PAGE + whole[free * PAGE :])
    assert len(await contents(path)) == ROWS - 149
    assert sqlite_check.faults(path)


async def test_a_whole_check_of_what_is_open_or_cut_short_is_one_sentence(path: Path) -> None:
    store = SqliteStore(path)
    await opened(store)
    (told,) = sqlite_check.faults(path)
    assert "open in another process" in told
    await store.close()
    os.truncate(path, PAGE)
    (told,) = sqlite_check.faults(path)
    assert "is damaged" in told
