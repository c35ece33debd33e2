"""Sets of completion indexes, as a Job's status writes them: "0,2-4,7". Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import merge
from itertools import islice, pairwise

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Indexes:
    """Indexes of 0 and above, as spans with both ends included: in order, and never side by side.
    What is done costs as much as there are spans, not indexes."""

    spans: tuple[Span, ...] = ()

    @classmethod
    def of(cls, indexes: Iterable[int]) -> Indexes:
        return cls(_joined((one, one) for one in sorted(indexes)))

    @classmethod
    def parse(cls, text: str, completions: int) -> Indexes:
        """Those of the text that are below completions: an indexed Job can become smaller."""
        found = []
        for part in text.split(",") if text else ():
            first, _, last = part.partition("-")
            begin, end = int(first), min(int(last or first), completions - 1)
            if begin <= end:
                found.append((begin, end))
        return cls(_joined(found))

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self.spans)

    def __contains__(self, index: int) -> bool:
        at = bisect_left(self.spans, index, key=lambda span: span[1])
        return at < len(self.spans) and self.spans[at][0] <= index

    def __or__(self, other: Indexes) -> Indexes:
        return Indexes(_joined(merge(self.spans, other.spans))) if other.spans else self

    def overlap(self, other: Indexes) -> int:
        """How many are in both."""
        mine, others, shared = list(self.spans), list(other.spans), 0
        while mine and others:
            shared += max(0, min(mine[-1][1], others[-1][1]) - max(mine[-1][0], others[-1][0]) + 1)
            (mine if mine[-1][0] >= others[-1][0] else others).pop()
        return shared

    def missing(self, count: int, below: int) -> list[int]:
        """The lowest indexes below a bound that are not in the set, at most count of them."""
        return list(islice(self._gaps(below), count))

    def _gaps(self, below: int) -> Iterator[int]:
        for (_, last), (first, _) in pairwise(((-1, -1), *self.spans, (below, below))):
            yield from range(last + 1, min(first, below))

    def __str__(self) -> str:
        return ",".join(_shown(first, last) for first, last in self.spans)


def _joined(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Spans in order of their beginnings, with those made one that overlap or touch."""
    found: list[Span] = []
    for first, last in spans:
        if found and first <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(last, found[-1][1])
        else:
            found.append((first, last))
    return tuple(found)


def _shown(first: int, last: int) -> str:
    """Two side by side are not worth a dash (indexed_job_utils.go)."""
    if first == last:
        return str(first)
    return f"{first}{',' if last == first + 1 else '-'}{last}"
