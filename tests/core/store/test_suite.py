"""What every store must do: one suite, over memory and sqlite alike."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from longshore.core.store.memory import MemoryStore
from longshore.core.store.protocol import Store, Write
from longshore.core.store.sqlite import SWEEP_BATCH, SqliteStore

Contents = list[tuple[str, bytes, int]]


async def opened(store: Store) -> tuple[Contents, int]:
    """What is in a store, sorted by key, and its revision."""
    found: Contents = []
    revision = await store.open(lambda *one: found.append(one))
    return sorted(found), revision


class Reopenable:
    """A store and the means to open what it left behind."""

    def __init__(self, kind: str, path: Path) -> None:
        self._kind, self._path = kind, path
        self.store: Store = MemoryStore() if kind == "memory" else SqliteStore(path)

    async def again(self) -> Store:
        await self.store.close()
        if self._kind == "sqlite":
            self.store = SqliteStore(self._path)
        return self.store


@pytest.fixture(params=["memory", "sqlite"])
async def box(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Reopenable]:
    box = Reopenable(request.param, tmp_path / "state" / "store.db")
    yield box
    await box.store.close()


async def test_an_empty_store_is_at_revision_zero(box: Reopenable) -> None:
    assert await opened(box.store) == ([], 0)


async def test_each_write_of_a_batch_gets_its_own_growing_revision(box: Reopenable) -> None:
    await opened(box.store)
    assert await box.store.commit([Write("/a", b"1", 0), Write("/b", b"2", 0)]) == [1, 2]
    assert await box.store.commit([Write("/a", b"3", 1)]) == [3]


async def test_a_write_whose_expectation_fails_is_left_out_alone(box: Reopenable) -> None:
    await opened(box.store)
    await box.store.commit([Write("/a", b"1", 0)])
    batch = [Write("/a", b"x", 0), Write("/b", b"2", 0), Write("/c", None, 7)]
    assert await box.store.commit(batch) == [0, 2, 0]
    contents, _ = await opened(await box.again())
    assert contents == [
        ("/a", b"1", 1),
        ("/b", b"2", 2),
    ]


async def test_what_was_committed_is_there_after_reopening_sorted_by_key(box: Reopenable) -> None:
    await opened(box.store)
    await box.store.commit([Write("/b", b"2", 0), Write("/a", b"1", 0), Write("/c", b"3", 0)])
    await box.store.commit([Write("/b", None, 1), Write("/c", b"4", 3)])
    contents, revision = await opened(await box.again())
    assert contents == [
        ("/a", b"1", 2),
        ("/c", b"4", 5),
    ]
    assert revision == 5


async def test_the_revision_survives_the_delete_of_everything(box: Reopenable) -> None:
    await opened(box.store)
    await box.store.commit([Write("/a", b"1", 0)])
    await box.store.commit([Write("/a", None, 1)])
    store = await box.again()
    assert await opened(store) == ([], 2)
    assert await store.commit([Write("/a", b"2", 0)]) == [3]


async def test_replaced_values_are_swept_and_nothing_else(box: Reopenable) -> None:
    await opened(box.store)
    await box.store.commit([Write("/kept", b"kept", 0)])
    at = 0
    for _ in range(SWEEP_BATCH + 10):
        (at,) = await box.store.commit([Write("/busy", b"%d" % at, at)])
    store = await box.again()
    contents, revision = await opened(store)
    assert revision == at
    assert [key for key, _, _ in contents] == ["/busy", "/kept"]
    assert await store.commit([Write("/busy", b"on", at)]) == [at + 1]


async def test_what_was_deleted_stays_so_while_sweeps_are_under_way(box: Reopenable) -> None:
    store = box.store
    await opened(store)
    keys = [f"/k/{number}" for number in range(SWEEP_BATCH)]
    revisions = await store.commit([Write(key, b"v", 0) for key in keys])
    await store.commit([Write(k, None, r) for k, r in zip(keys, revisions, strict=True)])
    # Twice as many rows are replaced now as one sweep takes: each commit here sweeps a part.
    for number in range(3):
        await store.commit([Write(f"/new/{number}", b"v", 0)])
        store = await box.again()
        contents, _ = await opened(store)
        assert [key for key, _, _ in contents] == [f"/new/{n}" for n in range(number + 1)]
