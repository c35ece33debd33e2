"""Reading CRI log files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.core.streams.protocols import LogOptions
from longshore.machinery.runtime import logs
from longshore.machinery.runtime.log_files import LogFiles
from longshore.machinery.runtime.log_format import parse, text_of
from longshore.machinery.runtime.rotated import delete_log, in_order, pack, rotated_name
from longshore.testing.clock import VirtualClock

STAMPS = [f"2026-11-21T08:00:{second:02}.123456789+00:00" for second in range(60)]
SHOWN = [stamp.replace("+00:00", "Z") for stamp in STAMPS]


def line(second: int, text: str, *, stream: str = "stdout", tag: str = "F") -> str:
    return f"{STAMPS[second]} {stream} {tag} {text}\n"


async def read(path: Path, options: LogOptions) -> str:
    pieces = logs.read(path, options, VirtualClock(), lambda: True)
    return b"".join([piece async for piece in pieces]).decode()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "0.log"
    made.write_text(
        line(1, "one")
        + line(2, "", stream="stderr")
        + line(3, "thr", tag="P")
        + line(4, "ee")
        + line(5, "four")
    )
    return made


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (LogOptions(), "one\n\nthree\nfour\n"),
        (LogOptions(tail_lines=0), ""),
        (LogOptions(tail_lines=1), "four\n"),
        (LogOptions(tail_lines=2), "three\nfour\n"),
        (LogOptions(tail_lines=3), "\nthree\nfour\n"),
        (LogOptions(tail_lines=99), "one\n\nthree\nfour\n"),
        (LogOptions(limit_bytes=5), "one\n\n"),
        (LogOptions(limit_bytes=0), ""),
        (LogOptions(since=1795248005.0), "four\n"),
        (LogOptions(since=1795248002.1), "\nthree\nfour\n"),
        (LogOptions(since=1795248059.0), ""),
        (LogOptions(tail_lines=1, timestamps=True), f"{SHOWN[5]} four\n"),
        (LogOptions(tail_lines=2, timestamps=True), f"{SHOWN[3]} three\n{SHOWN[5]} four\n"),
    ],
)
async def test_options(path: Path, options: LogOptions, text: str) -> None:
    assert await read(path, options) == text


async def test_a_log_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert await read(tmp_path / "none.log", LogOptions(tail_lines=3)) == ""


async def test_what_is_not_of_the_format_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_text("nonsense\n\n" + line(1, "one") + "a b c\n" + line(2, "unfinished")[:-1])
    assert await read(path, LogOptions()) == "one\n"


words = st.lists(st.tuples(st.text("ab ", max_size=30), st.booleans()), max_size=60)


@given(words, st.integers(0, 70))
async def test_the_tail_is_the_end_of_the_whole(
    tmp_path_factory: pytest.TempPathFactory, said: list[tuple[str, bool]], count: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "0.log"
    path.write_text("".join(line(0, text, tag="F" if whole else "P") for text, whole in said))
    everything = (await read(path, LogOptions())).splitlines(keepends=True)
    whole_lines = [each for each in everything if each.endswith("\n")]
    rest = "".join(everything[len(whole_lines) :])
    expected = "".join(whole_lines[max(0, len(whole_lines) - count) :]) + rest
    if count == 0:
        expected = ""
    assert await read(path, LogOptions(tail_lines=count)) == expected


async def test_a_long_log_is_not_read_for_its_tail(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a hole: reading it would take minutes
        file.seek(0, 2)
        file.write(("\n" + line(1, "x" * 100_000) + line(2, "last")).encode())
    assert await read(path, LogOptions(tail_lines=1)) == "last\n"


async def test_following_gives_what_is_added_and_ends_with_the_container(path: Path) -> None:
    clock, ended, pieces = VirtualClock(), asyncio.Event(), list[bytes]()

    async def follow() -> None:
        async for piece in logs.read(
            path, LogOptions(follow=True, tail_lines=1), clock, ended.is_set
        ):
            pieces.append(piece)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(follow())
        await clock.advance(1)
        assert pieces == [b"four\n"]
        with path.open("a") as file:
            file.write(line(6, "five")[:-3])
        await clock.advance(1)
        with path.open("a") as file:
            file.write(line(6, "five")[-3:])
        await clock.advance(1)
        assert pieces == [b"four\n", b"five\n"]
        path.unlink()
        path.write_text(line(7, "rotated"))
        await clock.advance(1)
        with path.open("a") as file:
            file.write(line(8, "end"))
        ended.set()
        await clock.advance(1)
        assert task.done()
    assert pieces[2:] == [b"rotated\n", b"end\n"]


def rotate(path: Path, second: int) -> Path:
    """What the agent does: the file gets another name, and the runtime goes on in a new one."""
    renamed = path.with_name(rotated_name(path.name, 1795248000.0 + second))
    path.rename(renamed)
    path.touch()
    return renamed


async def test_what_was_rotated_comes_first(path: Path) -> None:
    pack(rotate(path, 10))
    path.write_text(line(11, "five") + line(12, "six"))
    rotate(path, 20)
    path.write_text(line(21, "seven"))
    assert await read(path, LogOptions()) == "one\n\nthree\nfour\nfive\nsix\nseven\n"
    assert await read(path, LogOptions(tail_lines=2)) == "six\nseven\n"
    assert await read(path, LogOptions(tail_lines=4)) == "four\nfive\nsix\nseven\n"
    assert await read(path, LogOptions(tail_lines=0)) == ""
    assert await read(path, LogOptions(since=1795248011.0)) == "five\nsix\nseven\n"


class Slow(VirtualClock):
    """While somebody waits on it, something happens."""

    def __init__(self, *happens: Callable[[], object]) -> None:
        super().__init__()
        self.left = list(happens)

    async def sleep(self, seconds: float) -> None:
        if self.left:
            self.left.pop(0)()


async def follow(path: Path, *happens: Callable[[], object]) -> str:
    clock = Slow(*happens)
    pieces = logs.read(path, LogOptions(follow=True), clock, lambda: not clock.left)
    return b"".join([piece async for piece in pieces]).decode()


def adding(path: Path, text: str) -> Callable[[], object]:
    return lambda: path.write_text(path.read_text() + line(9, text))


async def test_following_goes_on_across_a_rotation(path: Path) -> None:
    said = await follow(
        path, adding(path, "five"), lambda: rotate(path, 10), adding(path, "six"),
    )  # fmt: skip
    assert said == "one\n\nthree\nfour\nfive\nsix\n"


async def test_what_is_written_after_the_renaming_is_not_lost(path: Path) -> None:
    """The runtime writes into the renamed file until it has made the next."""
    renamed = path.with_name(rotated_name(path.name, 1795248010.0))
    said = await follow(
        path, lambda: path.rename(renamed), adding(renamed, "five"),
        lambda: path.write_text(line(11, "six")),
    )  # fmt: skip
    assert said == "one\n\nthree\nfour\nfive\nsix\n"


async def test_several_rotations_between_two_looks_lose_nothing(path: Path) -> None:
    def busy() -> None:
        old = rotate(path, 10)
        path.write_text(line(11, "five"))
        rotate(path, 20)
        path.write_text(line(21, "six"))
        rotate(path, 30)
        pack(old)
        path.write_text(line(31, "seven"))

    assert await follow(path, busy) == "one\n\nthree\nfour\nfive\nsix\nseven\n"


async def test_a_log_that_begins_anew_is_read_from_its_start(path: Path) -> None:
    assert await follow(path, lambda: path.write_text(line(9, "anew"))) == (
        "one\n\nthree\nfour\nanew\n"
    )


def test_rotated_files_are_in_the_order_of_time_and_count_once() -> None:
    names = ["0.log", "0.log.20260101-000002.000000", "0.log.20260101-000001.500000.gz",
             "0.log.20260101-000001.500000", "0.log.20260101-000003.000000.tmp", "10.log"]  # fmt: skip
    assert in_order("0.log", names) == names[2:0:-1]


def test_a_deleted_log_leaves_nothing(path: Path) -> None:
    pack(rotate(path, 10))
    rotate(path, 20)
    delete_log(path)
    assert list(path.parent.iterdir()) == []


async def test_who_does_not_follow_reads_what_was_there(path: Path) -> None:
    """A container that prints faster than one reads would never let one go."""
    pieces = logs.read(path, LogOptions(limit_bytes=10_000), VirtualClock(), lambda: False)
    said = b""
    async for piece in pieces:
        said += piece
        path.write_text(path.read_text() + line(9, "more"))
    assert said == b"one\n\nthree\nfour\n"


async def test_between_the_two_steps_of_a_rotation_nothing_is_missing(path: Path) -> None:
    rotate(path, 10)
    path.unlink()
    assert await read(path, LogOptions()) == "one\n\nthree\nfour\n"


async def test_a_line_that_is_being_written_does_not_count(path: Path) -> None:
    with path.open("a") as file:
        file.write(line(6, "five")[:-3])
    assert await read(path, LogOptions(tail_lines=2)) == "three\nfour\n"
    path.write_text(line(6, "x" * 200_000)[:-1])
    assert await read(path, LogOptions(tail_lines=2)) == ""


async def test_the_tail_of_a_log_that_grows_meanwhile_is_that_of_its_opening(
    tmp_path: Path,
) -> None:
    path = tmp_path / "0.log"
    line = b"2026-11-22T05:00:00.000000000Z stdout F %d\n"
    path.write_bytes(b"".join(line % number for number in range(10)))
    files = LogFiles(path, follow=False)
    with path.open("ab") as log:
        log.writelines(line % number for number in range(10, 10_000))
    await files.skip_to_tail(2)
    assert await files.read(1 << 20) == line % 8 + line % 9
    assert await files.read(1 << 20) == b""
    files.close()


@given(
    st.lists(st.sampled_from([b"t", b"stdout", b"stderr", b"F", b"P", b"P:x", b"Q", b"", b"a b"])),
)
def test_the_text_alone_is_that_of_the_whole_line(words: list[bytes]) -> None:
    line = b" ".join(words)
    entry = parse(line)
    assert text_of(line) == (b"" if entry is None else entry.text)
