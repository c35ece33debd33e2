"""Power cuts, played back: what had reached the disk at some moment is put together and opened.

A store is written to under load, in small batches with sweeps and checkpoints in between. The disk
keeps what was synchronised and any part of the rest, so the write-ahead log is cut at every kind of
place, ends in rubbish, or lies beside a database whose checkpoint was cut short. What was
acknowledged before that moment must be there, and never half a batch.
"""

from __future__ import annotations

import shutil
import sqlite3
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from longshore.base.chance import Chance
from longshore.core.store import sqlite
from longshore.core.store.protocol import StoreDamaged, Write
from longshore.core.store.sqlite import SqliteStore
from longshore.core.store.sqlite_file import PAGE_BYTES, log_of

from .test_suite import Contents, opened

KEYS, BATCHES, SNAPSHOTS = 25, 160, 8
# The log's header and that of each of its frames (sqlite.org/fileformat2.html, part 4).
LOG_HEADER, FRAME_HEADER, PAGE = 32, 24, PAGE_BYTES
FRAME = FRAME_HEADER + PAGE
State = tuple[Contents, int]


@dataclass(frozen=True)
class Moment:
    """The disk after a batch was acknowledged: its number, and both files."""

    batch: int
    database: bytes
    log: bytes


@dataclass
class Load:
    """What was acknowledged, batch after batch: the contents, and where in which log it ended."""

    states: list[State]
    ends: list[tuple[bytes, int]]
    moments: list[Moment]

    def least(self, moment: Moment, length: int) -> int:
        """The newest batch that was on the disk when only so much of the log was."""
        salts = moment.log[16:24]
        kept = [
            number
            for number, (of, end) in enumerate(self.ends[: moment.batch + 1])
            if of != salts or end <= length
        ]
        return kept[-1]


def commits(log: bytes) -> Iterator[int]:
    """Where in a log its transactions end: its last frame says how large the database is then."""
    for at in range(LOG_HEADER, len(log) - FRAME + 1, FRAME):
        _, size, *salts = struct.unpack_from(">4I", log, at)
        if struct.pack(">2I", *salts) != log[16:24]:
            return
        if size:
            yield at + FRAME


def batch_of(chance: Chance, state: Contents, number: int) -> list[Write]:
    """Some keys made, changed and deleted at once."""
    at = {key: revision for key, _, revision in state}
    writes = []
    for key in dict.fromkeys(f"/k/{chance.below(KEYS):02}" for _ in range(1 + chance.below(7))):
        value = b"%d " % number * (1 + chance.below(600))
        gone = key in at and chance.below(4) == 0
        writes.append(Write(key, None if gone else value, at.get(key, 0)))
    return writes


def after(state: State, writes: list[Write], revisions: list[int]) -> State:
    contents = {key: (value, at) for key, value, at in state[0]}
    for write, revision in zip(writes, revisions, strict=True):
        if write.value is None:
            del contents[write.key]
        else:
            contents[write.key] = write.value, revision
    return sorted((key, *rest) for key, rest in contents.items()), revisions[-1]


async def load(path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    monkeypatch.setattr(sqlite, "LOG_BYTES", 60 * PAGE)
    monkeypatch.setattr(sqlite, "SWEEP_BATCH", 16)
    chance = Chance.seeded("power")
    store = SqliteStore(path)
    made = Load([await opened(store)], [(b"", 0)], [])
    before = path.read_bytes()
    for number in range(1, BATCHES + 1):
        writes = batch_of(chance, made.states[-1][0], number)
        made.states.append(after(made.states[-1], writes, await store.commit(writes)))
        await store.commit([])  # is through when what was tidied up after the batch is
        log, database = log_of(path).read_bytes(), path.read_bytes()
        made.ends.append((log[16:24], [*commits(log)][-1]))
        # A log that was copied into the database had been synchronised: it is not one to cut.
        copied, before = database != before, database
        if number >= (len(made.moments) + 1) * BATCHES // (SNAPSHOTS + 1) and not copied:
            made.moments.append(Moment(number, database, log))
    await store.close()
    return made


async def found(path: Path, database: bytes, log: bytes) -> State:
    path.write_bytes(database)
    log_of(path).write_bytes(log)
    store = SqliteStore(path)
    try:
        return await opened(store)
    finally:
        await store.close()


@pytest.fixture
async def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    return await load(tmp_path / "load" / "s.db", monkeypatch)


def cuts(chance: Chance, log: bytes) -> list[int]:
    """Lengths to cut a log to: about each frame's ends, within headers and pages, and whole."""
    edges = [0, LOG_HEADER, *range(LOG_HEADER + FRAME, len(log), FRAME)]
    near = [edge + step for edge in edges[-6:] for step in (-1, 0, 1, FRAME_HEADER)]
    anywhere = [chance.below(len(log)) for _ in range(15)]
    return sorted({at for at in (*near, *anywhere, 0, 1, LOG_HEADER, len(log)) if at >= 0})


@pytest.mark.slow
async def test_a_log_cut_anywhere_gives_whole_batches_and_all_that_were_on_disk(
    tmp_path: Path, written: Load
) -> None:
    chance = Chance.seeded("cuts")
    generations = {salts for salts, _ in written.ends[1:]}
    assert len(generations) > 3, "the load has to see checkpoints"
    assert len(written.moments) >= SNAPSHOTS
    places = {moment.batch: cuts(chance, moment.log) for moment in written.moments}
    assert sum(map(len, places.values())) >= 200
    for moment in written.moments:
        for length in places[moment.batch]:
            state = await found(tmp_path / "s.db", moment.database, moment.log[:length])
            assert state in written.states, (moment.batch, length, "half a batch")
            batch = written.states.index(state)
            assert written.least(moment, length) <= batch <= moment.batch, (moment.batch, length)


async def test_rubbish_behind_what_was_synchronised_is_not_read(
    tmp_path: Path, written: Load
) -> None:
    chance = Chance.seeded("rubbish")
    for moment in written.moments:
        ends = [*commits(moment.log)]
        torn = bytearray(moment.log[ends[-1] - FRAME : ends[-1]])
        torn[FRAME_HEADER + chance.below(PAGE)] ^= 0x10  # a last frame of which a sector is missing
        stale = bytearray(moment.log[LOG_HEADER : LOG_HEADER + FRAME])
        stale[8] ^= 1  # a frame of before the last checkpoint has other salts
        for rubbish in (bytes(5000), b"\xff" * 5000, bytes(torn), bytes(stale) * 3):
            log = moment.log[: ends[-1]] + rubbish
            state = await found(tmp_path / "s.db", moment.database, log)
            assert state == written.states[moment.batch]


async def test_a_log_damaged_in_front_of_acknowledged_batches_is_refused_and_kept(
    tmp_path: Path, written: Load
) -> None:
    chance, path = Chance.seeded("rot"), tmp_path / "s.db"
    refused = 0
    for moment in written.moments:
        ends = [*commits(moment.log)]
        for _ in range(9):
            log = bytearray(moment.log)
            at = chance.below(ends[-1])
            log[at] ^= 1 << chance.below(8)
            behind = sum(1 for end in ends if end > at)
            if behind > 2:  # the wrong bit may be the one that tells a transaction's end
                for _ in range(2):
                    with pytest.raises(StoreDamaged, match="its log is broken in front of"):
                        await found(path, moment.database, bytes(log))
                    assert path.read_bytes() == moment.database
                    assert log_of(path).read_bytes() == log
                refused += 1
            elif behind == 1 and at >= LOG_HEADER:
                # A last batch that was not synchronised looks like that.
                state = await found(path, moment.database, bytes(log))
                assert state in written.states[moment.batch - 1 : moment.batch + 1]
    assert refused >= 15


async def test_a_checkpoint_cut_short_is_done_again(tmp_path: Path, written: Load) -> None:
    chance, path = Chance.seeded("checkpoint"), tmp_path / "s.db"
    for moment in written.moments[1:]:
        path.write_bytes(moment.database)
        log_of(path).write_bytes(moment.log)
        with sqlite3.connect(path) as whole:
            whole.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        whole.close()
        done = path.read_bytes()
        for _ in range(10):
            database = b"".join(
                (moment.database if chance.below(2) else done)[at : at + PAGE].ljust(PAGE, b"\0")
                for at in range(0, len(done), PAGE)
            )
            state = await found(path, database, moment.log)
            assert state == written.states[moment.batch]


async def test_a_power_cut_before_the_first_batch_leaves_an_empty_store(tmp_path: Path) -> None:
    path = tmp_path / "a" / "s.db"
    store = SqliteStore(path)
    assert await opened(store) == ([], 0)
    shutil.copytree(path.parent, tmp_path / "b")
    await store.close()
    again = SqliteStore(tmp_path / "b" / "s.db")
    assert await opened(again) == ([], 0)
    await again.close()
