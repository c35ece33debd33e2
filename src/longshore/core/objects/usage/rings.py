"""How long which resolution is kept: minutes for a day, quarters of an hour for a fortnight, six
hours for two years.

Minutes are kept in chunks of six hours, which are written often and so must be small. A chunk that is
over is folded into the two coarser series, which are written only then: `end` of both says how far that
has come, so that a chunk is folded once, whatever is interrupted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from longshore.core.objects.usage.series import Series

MINUTE_S, QUARTER_S, CHUNK_S = 60, 900, 21_600
DAY_S = 86_400
STEPS = (MINUTE_S, QUARTER_S, CHUNK_S)
# Of each resolution, before the chunk that is being written.
MINUTES_KEPT_S, QUARTERS_KEPT_S, CHUNKS_KEPT_S = DAY_S, 14 * DAY_S, 730 * DAY_S
CHUNKS_MAX = MINUTES_KEPT_S // CHUNK_S + 1
"""How many chunks of minutes a project has: those of a day, and the one that is being written."""


def chunk_start(at: float) -> int:
    """When the chunk begins in which a moment falls."""
    return int(at) // CHUNK_S * CHUNK_S


def slot(start: int) -> int:
    """Which of its project's places a chunk takes: that of the one a day and a chunk older."""
    return start // CHUNK_S % CHUNKS_MAX


@dataclass(slots=True)
class Folded:
    """The coarser series of a project. Both end at the same moment."""

    quarters: Series
    chunks: Series

    @staticmethod
    def nothing() -> Folded:
        return Folded(Series(QUARTER_S), Series(CHUNK_S))

    @property
    def end(self) -> int:
        """Minutes up to here are in it; 0 if none are."""
        return self.chunks.end if len(self.chunks) else 0

    def take(self, minutes: Series) -> None:
        """Fold a chunk in, unless it was before, and forget what is too old."""
        start = chunk_start(minutes.start)
        end = start + CHUNK_S
        if not len(minutes) or start < self.end:
            return
        for coarse, kept in ((self.quarters, QUARTERS_KEPT_S), (self.chunks, CHUNKS_KEPT_S)):
            if len(coarse):
                coarse.trim(end - kept)
            if not len(coarse):
                coarse.start = start
            coarse.extend(end)
            minutes.pour(coarse, start, end)


@dataclass(slots=True)
class History:
    """All that is kept of a project: what was folded, and chunks of minutes, in any order."""

    folded: Folded
    chunks: list[Series]

    def unfolded(self, now: float) -> list[Series]:
        """Chunks that are over and not folded in, the oldest first."""
        newest = chunk_start(now)
        over = (one for one in self.chunks if self.folded.end <= one.start < newest and len(one))
        return sorted(over, key=lambda one: one.start)

    def read(self, step: int, since: int, until: int) -> Series:
        """What there is within [since, until), in steps that since and until are multiples of.
        Steps shorter than what is kept of a time are empty but for the one in which a bucket begins."""
        made = Series(step, since)
        made.extend(until)
        for part, begin, end in self._parts():
            part.pour(made, max(begin, since), min(end, until))
        return made

    def _parts(self) -> Iterable[tuple[Series, int, int]]:
        """Each six hours in the finest series that has them, and in no other. The minutes of a project
        that rested may be older than a day, and those before the rest gone."""
        folded, begin = self.folded, 0
        quarters = folded.quarters.start if len(folded.quarters) else folded.end
        chunks = {chunk_start(one.start): one for one in self.chunks if len(one)}
        for start in sorted({*chunks, folded.end}):
            yield folded.chunks, begin, min(start, quarters)
            yield folded.quarters, max(begin, quarters), start
            begin = start + CHUNK_S
            if start in chunks:
                yield chunks[start], start, begin

    @property
    def start(self) -> int:
        """When the oldest bucket begins; 0 if there is none."""
        parts = (self.folded.chunks, self.folded.quarters, *self.chunks)
        return min((part.start for part in parts if len(part)), default=0)


def resolution(since: int, now: float) -> int:
    """The finest step, in seconds, that is kept of all the time since then."""
    newest = chunk_start(now)
    if since >= newest - MINUTES_KEPT_S:
        return MINUTE_S
    return QUARTER_S if since >= newest - QUARTERS_KEPT_S else CHUNK_S
