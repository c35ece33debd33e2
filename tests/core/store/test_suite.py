"""What every store must do: one suite, over memory, sqlite and a real etcd alike."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from longshore.base.chance import Chance
from longshore.base.clock import SystemClock
from longshore.core.store.etcd.members import Members
from longshore.core.store.etcd.store import EtcdStore, Naming
from longshore.core.store.memory import MemoryStore
from longshore.core.store.protocol import Guard, Store, Write
from longshore.core.store.sqlite import SWEEP_BATCH, SqliteStore
from tests.core.store.etcds import Cluster

Contents = list[tuple[str, bytes, int]]
PREFIXES = itertools.count()


async def opened(store: Store) -> tuple[Contents, int]:
    """What is in a store, sorted by key, and its revision."""
    found: Contents = []
    revision = await store.open(lambda *one: found.append(one))
    return sorted(found), revision


class Reopenable:
    """A store and the means to open what it left behind."""

    def __init__(self, kind: str, make: Callable[[], Store]) -> None:
        self.kind, self._make = kind, make
        self.store = make()

    async def again(self) -> Store:
        await self.store.close()
        if self.kind != "memory":
            self.store = self._make()
        return self.store


@pytest.fixture(params=["memory", "sqlite", "etcd"])
async def box(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Reopenable]:
    box = Reopenable(request.param, _maker(request, tmp_path))
    yield box
    await box.store.close()


def _maker(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    if request.param == "memory":
        return MemoryStore
    if request.param == "sqlite":
        return lambda: SqliteStore(tmp_path / "state" / "store.db")
    cluster: Cluster = request.getfixturevalue("etcd")
    clock, naming = SystemClock(), Naming(prefix=f"/suite/{next(PREFIXES)}")
    return lambda: EtcdStore(Members(cluster.endpoints, clock), clock, naming)


async def test_an_empty_store_hands_over_nothing(box: Reopenable) -> None:
    contents, revision = await opened(box.store)
    assert contents == []
    (first,) = await box.store.commit([Write("/a", b"1", 0)])
    assert first > revision


@pytest.mark.parametrize("count", [1, 2, 127, 128, 600])
async def test_each_write_of_a_batch_gets_its_own_growing_revision(
    box: Reopenable, count: int
) -> None:
    await opened(box.store)
    keys = [f"/k/{number}" for number in range(count)]
    first = await box.store.commit([Write(key, b"1", 0) for key in keys])
    second = await box.store.commit(
        [Write(key, b"2", at) for key, at in zip(keys, first, strict=True)]
    )
    assert first + second == sorted(set(first + second))
    assert first[0] > 0


async def test_a_write_whose_expectation_fails_is_left_out_alone(box: Reopenable) -> None:
    await opened(box.store)
    (a,) = await box.store.commit([Write("/a", b"1", 0)])
    batch = [Write("/a", b"x", 0), Write("/b", b"2", 0), Write("/c", None, 7), Write("/d", b"4", a)]
    stale, b, absent, other = await box.store.commit(batch)
    assert (stale, b > a, absent, other) == (0, True, 0, 0)
    contents, _ = await opened(await box.again())
    assert contents == [("/a", b"1", a), ("/b", b"2", b)]


async def test_a_guarded_write_counts_while_the_other_key_is_where_it_should_be(
    box: Reopenable,
) -> None:
    await opened(box.store)
    lease, a = await box.store.commit([Write("/lease", b"me", 0), Write("/a", b"1", 0)])
    held, absent = Guard("/lease", lease), Guard("/lease", 0)
    batch = [
        Write("/a", b"2", a, held), Write("/b", b"2", 0, absent), Write("/c", b"2", 0),
        Write("/d", b"2", 0, Guard("/lease", -1)),
    ]  # fmt: skip
    a, b, c, d = await box.store.commit(batch)
    assert (a > lease, b, c > lease, d) == (True, 0, True, 0)
    (taken,) = await box.store.commit([Write("/lease", b"you", lease)])
    late = [Write("/a", None, a, held), Write("/b", b"3", 0), Write("/c", None, 0, held)]
    a_again, b, c_again = await box.store.commit(late)
    assert (a_again, b > taken, c_again) == (0, True, 0)
    contents, _ = await opened(await box.again())
    assert [(key, value) for key, value, _ in contents] == [
        ("/a", b"2"), ("/b", b"3"), ("/c", b"2"), ("/lease", b"you"),
    ]  # fmt: skip


@pytest.mark.parametrize("count", [126, 127, 128, 300])
async def test_guards_have_room_in_large_batches(box: Reopenable, count: int) -> None:
    await opened(box.store)
    lease, other = await box.store.commit([Write("/lease", b"", 0), Write("/other", b"", 0)])
    guards = [Guard("/lease", lease), Guard("/other", other), None]
    batch = [Write(f"/k/{n}", b"1", 0, guards[n % 3]) for n in range(count)]
    assert all(await box.store.commit(batch))


async def test_a_batch_of_which_nothing_holds_changes_nothing(box: Reopenable) -> None:
    await opened(box.store)
    (a,) = await box.store.commit([Write("/a", b"1", 0)])
    assert await box.store.commit([Write("/a", b"x", 0), Write("/a/b", None, a)]) == [0, 0]
    assert await box.store.commit([]) == []
    (after,) = await box.store.commit([Write("/a", b"2", a)])
    contents, _ = await opened(await box.again())
    assert contents == [("/a", b"2", after)]


async def test_what_was_committed_is_there_after_reopening(box: Reopenable) -> None:
    await opened(box.store)
    b, a, c = await box.store.commit(
        [Write("/b", b"2", 0), Write("/a", b"", 0), Write("/c", b"3", 0)]
    )
    gone, changed = await box.store.commit([Write("/b", None, b), Write("/c", b"\0\xff", c)])
    contents, revision = await opened(await box.again())
    assert contents == [("/a", b"", a), ("/c", b"\0\xff", changed)]
    assert revision >= changed > gone > c


async def test_the_revision_survives_the_delete_of_everything(box: Reopenable) -> None:
    await opened(box.store)
    (made,) = await box.store.commit([Write("/a", b"1", 0)])
    (gone,) = await box.store.commit([Write("/a", None, made)])
    store = await box.again()
    contents, revision = await opened(store)
    assert contents == []
    assert revision >= gone > made
    assert await store.commit([Write("/a", b"stale", made)]) == [0]
    (back,) = await store.commit([Write("/a", b"2", 0)])
    assert back > revision


@pytest.mark.parametrize("seed", range(3))
async def test_it_is_what_a_dictionary_with_revisions_would_be(box: Reopenable, seed: int) -> None:
    """Batches by chance, half of their expectations stale, with a reopening now and then."""
    chance, model, newest = Chance.seeded(seed), dict[str, tuple[bytes, int]](), 0
    seen: dict[str, list[int]] = {f"/k/{number}": [0, 1] for number in range(12)}
    await opened(box.store)
    for step in range(60):
        batch = [
            _any_write(chance, key, model, seen[key], b"%d" % step)
            for key in seen
            if chance.below(3) == 0
        ]
        for write, revision in zip(batch, await box.store.commit(batch), strict=True):
            assert bool(revision) == (model.get(write.key, (b"", 0))[1] == write.expect), write
            if not revision:
                continue
            assert revision > newest
            newest = revision
            seen[write.key].append(revision)
            model.pop(write.key, None)
            if write.value is not None:
                model[write.key] = write.value, revision
        if step % 10 == 9:
            contents, at = await opened(await box.again())
            assert contents == sorted((key, *rest) for key, rest in model.items())
            assert at >= newest


def _any_write(
    chance: Chance, key: str, model: dict[str, tuple[bytes, int]], seen: list[int], value: bytes
) -> Write:
    right = model.get(key, (b"", 0))[1]
    expect = seen[chance.below(len(seen))] if chance.below(2) else right
    return Write(key, None if expect and chance.below(3) == 0 else value, expect)


async def test_replaced_values_are_swept_and_nothing_else(box: Reopenable) -> None:
    await opened(box.store)
    await box.store.commit([Write("/kept", b"kept", 0)])
    at = 0
    for _ in range(SWEEP_BATCH + 10 if box.kind != "etcd" else 50):
        (at,) = await box.store.commit([Write("/busy", b"%d" % at, at)])
    store = await box.again()
    contents, revision = await opened(store)
    assert revision >= at
    assert [key for key, _, _ in contents] == ["/busy", "/kept"]
    (after,) = await store.commit([Write("/busy", b"on", at)])
    assert after > revision


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
