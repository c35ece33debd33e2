"""A disk without room, and one that fails: what the store says, and what it still does."""

from __future__ import annotations

import contextlib
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from longshore.core.store import sqlite_file
from longshore.core.store.protocol import StoreFull, StoreStopped, Write
from longshore.core.store.sqlite import SqliteStore

from ...doors.rig import Kube, config_map, kube
from .test_suite import opened

MAPS = "/api/v1/namespaces/default/configmaps"
VALUE = b"v" * 50_000


class Room:
    """The store's file may grow to so many pages, and later to more: SQLite's own SQLITE_FULL."""

    def __init__(self, pages: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self._real, self._pages = sqlite_file.opened, pages
        monkeypatch.setattr(sqlite_file, "opened", self._opened)

    def _opened(self, path: Path) -> sqlite3.Connection:
        self._connection = self._real(path)
        self.allow(self._pages)
        return self._connection

    def allow(self, pages: int) -> None:
        self._connection.execute(f"PRAGMA max_page_count = {pages}")


async def until_full(store: SqliteStore) -> int:
    """How many values went in."""
    for number in range(1000):
        try:
            await store.commit([Write(f"/k/{number:04}", VALUE, 0), Write(f"/l/{number}", b"", 0)])
        except StoreFull:
            return number
    raise AssertionError("it never filled up")


async def test_without_room_nothing_of_a_batch_is_written_and_with_room_all_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room, store = Room(100, monkeypatch), SqliteStore(tmp_path / "s.db")
    await opened(store)
    count = await until_full(store)
    assert count > 3
    for _ in range(3):
        with pytest.raises(StoreFull, match="no room is left for"):
            await store.commit([Write("/more", VALUE, 0)])
    room.allow(1000)
    assert await store.commit([Write("/more", VALUE, 0)]) == [2 * count + 1]
    await store.close()
    contents, revision = await opened(store := SqliteStore(tmp_path / "s.db"))
    await store.close()
    expected = sorted(
        ["/more", *(f"/k/{n:04}" for n in range(count)), *(f"/l/{n}" for n in range(count))]
    )
    assert ([key for key, _, _ in contents], revision) == (expected, 2 * count + 1)


async def filled_up(api: Kube) -> list[str]:
    """Create until the store is full: that is 507, as a v1 Status. The names that went in."""
    names: list[str] = []
    for number in range(200):
        answer = await api("POST", MAPS, config_map(f"m{number}", text="t" * 50_000))
        if answer.status != 201:
            break
        names.append(f"m{number}")
    assert (answer.status, answer.doc["kind"], answer.doc["apiVersion"]) == (507, "Status", "v1")
    assert answer.doc["reason"] == "InsufficientStorage"
    assert answer.doc["message"] == "the store has no room left, nothing was written"
    return names


async def lives_through(api: Kube, make_room: Callable[[], None]) -> list[str]:
    """Reads and watches while the store is full; then there is room, and writes go on."""
    watch = await api.watch(f"{MAPS}?watch=1")
    names = await filled_up(api)
    assert len(names) > 2
    for _ in range(2):
        refused = await api("PUT", f"{MAPS}/m0", config_map("m0", text="u" * 60_000))
        assert refused.status == 507
        read = await api("GET", f"{MAPS}/m0")
        assert (read.status, read.doc["data"]["text"][:1]) == (200, "t")
        listed = await api("GET", MAPS)
        assert sorted(one["metadata"]["name"] for one in listed.doc["items"]) == sorted(names)
    assert [(await watch.seen())[1] for _ in names] == names
    make_room()
    assert (await api("POST", MAPS, config_map("after", text="t"))).status == 201
    assert (await watch.seen())[:2] == ("ADDED", "after")
    await watch.close()
    return [*names, "after"]


async def kept_maps(path: Path) -> list[str]:
    store = SqliteStore(path)
    contents, _ = await opened(store)
    await store.close()
    return sorted(key.rsplit("/", 1)[-1] for key, _, _ in contents if "/configmaps/" in key)


async def test_writers_get_507_while_reads_and_watches_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room, store = Room(100, monkeypatch), SqliteStore(tmp_path / "s.db")
    async with kube(store=store) as api:
        names = await lives_through(api, lambda: room.allow(1000))
    await store.close()
    assert await kept_maps(tmp_path / "s.db") == sorted(names)


@pytest.fixture
async def small_disk(tmp_path: Path) -> AsyncIterator[Path]:
    """A file system of two megabytes, half of which is somebody else's."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", tmp_path], check=True)
    try:
        (tmp_path / "theirs").write_bytes(bytes(1 << 20))
        yield tmp_path
    finally:
        subprocess.run(["umount", "-l", tmp_path], check=True)


@pytest.mark.root
async def test_a_file_system_that_fills_up_and_is_cleared(small_disk: Path) -> None:
    path = small_disk / "state" / "s.db"
    store = SqliteStore(path)
    async with kube(store=store) as api:
        names = await lives_through(api, (small_disk / "theirs").unlink)
    await store.close()
    assert await kept_maps(path) == sorted(names)


@pytest.mark.root
async def test_a_store_on_a_full_disk_is_opened_and_read(small_disk: Path) -> None:
    path = small_disk / "state" / "s.db"
    store = SqliteStore(path)
    await opened(store)
    count = await until_full(store)
    with contextlib.suppress(OSError):
        (small_disk / "rest").write_bytes(bytes(1 << 21))
    await store.close()
    again = SqliteStore(path)
    contents, _ = await opened(again)
    assert len(contents) == 2 * count
    with pytest.raises(StoreFull):
        await again.commit([Write("/more", VALUE * 4, 0)])
    (small_disk / "rest").unlink()
    (small_disk / "theirs").unlink()
    assert await again.commit([Write("/more", VALUE * 4, 0)]) == [2 * count + 1]
    await again.close()


async def test_a_medium_that_fails_is_written_to_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room, store = Room(1000, monkeypatch), SqliteStore(tmp_path / "s.db")
    await opened(store)
    await store.commit([Write("/a", b"1", 0)])
    room._connection.execute("PRAGMA query_only = 1")  # as a file system that turned read-only
    for _ in range(2):
        with pytest.raises(StoreStopped, match=r"takes no writes since one failed .* then restart"):
            await store.commit([Write("/b", b"2", 0)])
        room._connection.execute("PRAGMA query_only = 0")
    await store.close()
    contents, _ = await opened(again := SqliteStore(tmp_path / "s.db"))
    assert [key for key, _, _ in contents] == ["/a"]
    assert await again.commit([Write("/b", b"2", 0)]) == [2]
    await again.close()


# --- what the disk is really asked, seen from outside ---

WRITER = Path(__file__).with_name("short_writer.py")
strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


def traced(path: Path, *options: str) -> tuple[list[str], str]:
    """A process that commits three batches, and the calls that strace (1) saw in it."""
    trace = path.with_name("trace")
    done = subprocess.run(
        ["strace", "-f", "-o", trace, *options, sys.executable, WRITER, path],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    if "ptrace" in done.stderr:
        pytest.skip("ptrace is not permitted here, so no call of the store can be seen or failed")
    return trace.read_text().splitlines(), done.stdout + done.stderr


@strace
def test_nothing_is_acknowledged_before_the_log_is_synchronised(tmp_path: Path) -> None:
    calls, said = traced(
        tmp_path / "s.db", "-y", "-e", "trace=pwrite64,write,fdatasync,fsync", "-s", "40"
    )
    assert said.split("\n")[:4] == ["open", "done 1", "done 2", "done 3"]
    waiting, told = False, 0
    for call in calls:
        if re.search(r"pwrite64\(\d+<[^>]*s\.db-wal>", call):
            waiting = True
        elif re.search(r"f(data)?sync\(\d+<[^>]*s\.db-wal>\) = 0", call):
            waiting = False
        elif '"done ' in call:
            told += 1
            assert not waiting, call
    assert told == 3


@strace
def test_a_synchronisation_that_fails_stops_writes(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    traced(path, "-e", "trace=none")  # makes the store
    _, said = traced(path, "-e", "trace=fdatasync,fsync", "-e", "inject=fdatasync,fsync:error=EIO")
    assert said.split("\n")[0] == "open"
    assert said.count("StoreStopped: ") == 3, said
    assert "disk I/O error" in said
