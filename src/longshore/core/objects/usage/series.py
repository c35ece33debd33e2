"""Amounts of use over time: integrals over buckets of equal length.

A bucket holds what was used times how long, as a whole number. So buckets are added, never averaged:
what is folded into longer ones has the same sum, and a bucket that was begun twice has both parts.
"""

from __future__ import annotations

import base64
import struct
import zlib
from array import array
from collections.abc import Iterator, Sequence

COLUMNS = ("seconds", "pods", "cpu", "memory", "cpuRequests", "memoryRequests", "storage")
"""What a bucket holds: seconds in which anything was there; and times seconds: placed pods, cpu in
thousandths of a core, memory in MiB, what those pods request of both, and the MiB of bound claims."""

Row = Sequence[int]
"""One number for each of COLUMNS."""

# More than the longest series has: what is read is bounded before it is unpacked.
_PACKED_MAX = 8 * len(COLUMNS) * 4096


class Series:
    """Buckets of step seconds; the first begins at start (seconds since the epoch, a multiple of
    step). Grows at its end; older buckets can be cut off."""

    __slots__ = ("columns", "start", "step")

    def __init__(
        self, step: int, start: int = 0, columns: Sequence[array[int]] | None = None
    ) -> None:
        assert start % step == 0, (start, step)
        self.step = step
        self.start = start
        self.columns = tuple(columns) if columns else tuple(array("q") for _ in COLUMNS)

    def __len__(self) -> int:
        return len(self.columns[0])

    @property
    def end(self) -> int:
        """When the last bucket ends."""
        return self.start + len(self) * self.step

    def add(self, at: int, row: Row) -> None:
        """Add to the bucket in which `at` falls. Buckets up to there are made, empty ones. What falls
        before start is an error."""
        if not len(self):
            self.start = at - at % self.step
        place = (at - self.start) // self.step
        assert place >= 0, (at, self.start)
        self.extend(self.start + (place + 1) * self.step)
        for column, value in zip(self.columns, row, strict=True):
            column[place] += value

    def extend(self, end: int) -> None:
        """Make empty buckets up to end, if there is not as much."""
        missing = (end - self.start) // self.step - len(self)
        if missing > 0:
            nothing = bytes(8 * missing)
            for column in self.columns:
                column.frombytes(nothing)

    def trim(self, start: int) -> None:
        """Forget buckets that end by start, which is a multiple of step."""
        gone = min(max((start - self.start) // self.step, 0), len(self))
        if gone:
            for column in self.columns:
                del column[:gone]
            self.start += gone * self.step

    def rows(self, since: int, until: int) -> Iterator[tuple[int, Row]]:
        """Buckets that begin within [since, until), each with its begin."""
        first = max(-((self.start - since) // self.step), 0)
        last = min(-((self.start - until) // self.step), len(self))
        for place in range(first, last):
            yield self.start + place * self.step, [column[place] for column in self.columns]

    def pour(self, into: Series, since: int, until: int) -> None:
        """Add the buckets that begin within [since, until) to another series, of longer or equal
        steps."""
        for at, row in self.rows(since, until):
            if any(row):
                into.add(at, row)

    def total(self) -> list[int]:
        """The sum of all buckets."""
        return [sum(column) for column in self.columns]


def encoded(series: Series) -> str:
    """The buckets as text: differences from bucket to bucket, packed. What changes little takes
    little: an idle hour nothing, a busy bucket some 10 bytes."""
    differences: list[int] = []
    for column in series.columns:
        before = 0
        for value in column:
            differences.append(value - before)
            before = value
    packed = zlib.compress(struct.pack(f"<{len(differences)}q", *differences))
    return base64.b64encode(packed).decode()


def decoded(step: int, start: int, text: str) -> Series:
    """What encoded() wrote of a series. Raises ValueError for anything else."""
    try:
        unpacking = zlib.decompressobj()
        packed = unpacking.decompress(base64.b64decode(text, validate=True), _PACKED_MAX)
        differences = struct.unpack(f"<{len(packed) // 8}q", packed)
    except (zlib.error, struct.error) as error:
        raise ValueError(f"this is no series: {error}") from None
    length, rest = divmod(len(differences), len(COLUMNS))
    if rest or start % step or not unpacking.eof:
        raise ValueError("this is no series: it does not begin or end where one does")
    columns = []
    for place in range(len(COLUMNS)):
        column, value = array("q"), 0
        for difference in differences[place * length : (place + 1) * length]:
            value += difference
            column.append(value)
        columns.append(column)
    return Series(step, start, columns)
