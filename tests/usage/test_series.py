"""Series and rings: what is folded has the same sum, and what is written down is read back."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.core.objects.usage.rings import (
    CHUNK_S,
    CHUNKS_MAX,
    DAY_S,
    MINUTE_S,
    QUARTER_S,
    Folded,
    History,
    chunk_start,
    resolution,
    slot,
)
from longshore.core.objects.usage.series import COLUMNS, Series, decoded, encoded

WIDTH = len(COLUMNS)
MIDNIGHT = 1_800_000_000 // DAY_S * DAY_S

rows = st.lists(st.integers(0, 1 << 40), min_size=WIDTH, max_size=WIDTH)
minutes = st.dictionaries(st.integers(0, 3 * 24 * 60), rows, max_size=60)


def one(value: int) -> list[int]:
    return [value] * WIDTH


@given(st.dictionaries(st.integers(0, 2920), rows, max_size=60))
def test_what_is_written_is_read_back(buckets: dict[int, list[int]]) -> None:
    series = Series(MINUTE_S)
    for at, row in sorted(buckets.items()):
        series.add(at * MINUTE_S, row)
    again = decoded(MINUTE_S, series.start, encoded(series))
    assert (again.start, again.columns) == (series.start, series.columns)


@pytest.mark.parametrize("text", ["", "!", "AAAA", encoded(Series(60))[:-4]])
def test_what_is_no_series_is_said_to_be_none(text: str) -> None:
    with pytest.raises(ValueError):
        decoded(MINUTE_S, 0, text)


def chunks_of(buckets: dict[int, list[int]]) -> list[Series]:
    chunks: dict[int, Series] = {}
    for minute, row in sorted(buckets.items()):
        at = MIDNIGHT + minute * MINUTE_S
        chunks.setdefault(chunk_start(at), Series(MINUTE_S)).add(at, row)
    return list(chunks.values())


@given(minutes, st.sampled_from([MINUTE_S, QUARTER_S, CHUNK_S, DAY_S]), st.integers(0, 11))
def test_folding_loses_nothing_and_counts_nothing_twice(
    buckets: dict[int, list[int]], step: int, folded: int
) -> None:
    """Whichever of the chunks were folded in before the reader comes."""
    chunks = chunks_of(buckets)
    history = History(Folded.nothing(), chunks)
    for chunk in chunks[:folded]:
        history.folded.take(chunk)
        history.folded.take(chunk)
    until = MIDNIGHT + 4 * DAY_S
    found = history.read(step, MIDNIGHT, until)
    wanted = [sum(row[place] for row in buckets.values()) for place in range(WIDTH)]
    assert found.total() == wanted
    assert found.end == until


@given(minutes, st.integers(0, 3 * 96), st.integers(0, 96))
def test_any_window_is_exact_within_what_was_kept_of_it(
    buckets: dict[int, list[int]], first: int, length: int
) -> None:
    """A plain sum of all minutes of the window is between what is told of the six hours within it and
    of those around it."""
    chunks = chunks_of(buckets)
    history = History(Folded.nothing(), chunks)
    for chunk in chunks:
        history.folded.take(chunk)
    since = MIDNIGHT + first * QUARTER_S
    until = since + length * QUARTER_S
    plain = sum(row[2] for at, row in buckets.items() if since <= MIDNIGHT + at * 60 < until)
    inner = history.read(CHUNK_S, -(-since // CHUNK_S) * CHUNK_S, until // CHUNK_S * CHUNK_S)
    outer = history.read(CHUNK_S, since // CHUNK_S * CHUNK_S, -(-until // CHUNK_S) * CHUNK_S)
    low = inner.total()[2] if inner.end > inner.start else 0
    assert low <= plain <= outer.total()[2]
    assert history.read(QUARTER_S, since, until).total()[2] == plain


def test_each_resolution_is_kept_for_its_time() -> None:
    folded = Folded.nothing()
    for number in range(4 * 800):
        start = MIDNIGHT + number * CHUNK_S
        chunk = Series(MINUTE_S)
        chunk.add(start + 3600, one(60))
        folded.take(chunk)
    assert len(folded.quarters) == 14 * 96
    assert len(folded.chunks) == 730 * 4
    assert folded.end == folded.quarters.end == MIDNIGHT + 800 * DAY_S
    assert folded.chunks.total()[0] == 60 * 730 * 4


def test_a_project_that_rested_is_folded_after_the_rest() -> None:
    folded = Folded.nothing()
    for at in (MIDNIGHT, MIDNIGHT + 40 * DAY_S, MIDNIGHT + 2000 * DAY_S):
        chunk = Series(MINUTE_S)
        chunk.add(at, one(7))
        folded.take(chunk)
    assert folded.chunks.total() == one(7)  # two years are all that is kept
    assert folded.end == MIDNIGHT + 2000 * DAY_S + CHUNK_S


def test_a_chunk_takes_the_place_of_one_that_is_folded() -> None:
    starts = [MIDNIGHT + number * CHUNK_S for number in range(CHUNKS_MAX)]
    assert sorted(map(slot, starts)) == list(range(CHUNKS_MAX))
    assert slot(starts[0] + CHUNKS_MAX * CHUNK_S) == slot(starts[0])


def test_the_finest_step_of_a_time() -> None:
    now = MIDNIGHT + 5 * 3600
    assert resolution(MIDNIGHT - DAY_S, now) == MINUTE_S
    assert resolution(MIDNIGHT - DAY_S - 60, now) == QUARTER_S
    assert resolution(MIDNIGHT - 14 * DAY_S, now) == QUARTER_S
    assert resolution(MIDNIGHT - 15 * DAY_S, now) == CHUNK_S


def test_a_busy_project_takes_a_bounded_place() -> None:
    """Two years of a project whose every number is noise."""
    noise = array("q", range(WIDTH))
    quarters, chunks = Series(QUARTER_S), Series(CHUNK_S)
    state = 1
    for series, buckets in ((quarters, 14 * 96), (chunks, 730 * 4)):
        for number in range(buckets):
            row = []
            for place in noise:
                state = (state * 6364136223846793005 + place + 1442695040888963407) % (1 << 64)
                row.append((state >> 40) % (1000 * series.step))
            series.add(number * series.step, row)
    size = len(encoded(quarters)) + len(encoded(chunks))
    assert size < 160_000
