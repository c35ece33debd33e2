"""Distributions that forget, against percentiles of a plain list of weighted samples."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.core.objects.usage.containers import DAY_S, Container, Seen, recommended
from longshore.core.objects.usage.histogram import CPU, HALF_LIFE_S, MEMORY, Histogram

MIB = 1 << 20
samples = st.lists(
    st.tuples(
        st.floats(0.0005, 900),  # cores
        st.floats(0.1, 10),  # weight
        st.floats(0, 60 * DAY_S),  # when
    ),
    min_size=1,
    max_size=60,
)
shares = st.sampled_from([0.01, 0.5, 0.9, 0.95, 1.0])


def plain(values: list[tuple[float, float, float]], share: float) -> float:
    """The smallest value up to which that share of all weight lies."""
    newest = max(at for _, _, at in values)
    weighted = sorted((v, w * 2 ** ((at - newest) / HALF_LIFE_S)) for v, w, at in values)
    wanted, passed = share * sum(w for _, w in weighted), 0.0
    for value, weight in weighted:
        passed += weight
        if passed >= wanted * (1 - 1e-9):
            return value
    return weighted[-1][0]


@given(samples, shares)
def test_a_percentile_is_the_plain_one_within_a_bucket(
    values: list[tuple[float, float, float]], share: float
) -> None:
    histogram = Histogram(CPU)
    for value, weight, at in values:
        histogram.add(value, weight, at)
    # Where a share ends just between two values, rounding decides which of both it is.
    low = plain(values, max(share - 1e-6, 0))
    high = plain(values, share + 1e-6) if share < 1 else max(value for value, _, _ in values)
    assert low * 0.999 <= histogram.percentile(share) <= high * 1.05 + 0.00106


@given(samples, shares)
def test_what_is_written_says_the_same_again(
    values: list[tuple[float, float, float]], share: float
) -> None:
    histogram = Histogram(CPU)
    for value, weight, at in values:
        histogram.add(value, weight, at)
    again = Histogram.read(CPU, histogram.written())
    low = histogram.percentile(max(share - 0.01, 0.0))
    high = histogram.percentile(min(share + 0.01, 1.0))
    assert low <= again.percentile(share) <= high
    assert sum(again.weights.values()) == pytest.approx(sum(histogram.weights.values()))


@given(samples, st.integers(0, 59))
def test_what_is_taken_back_was_never_there(
    values: list[tuple[float, float, float]], which: int
) -> None:
    histogram, without = Histogram(CPU), Histogram(CPU)
    index = which % len(values)
    for place, (value, weight, at) in enumerate(values):
        histogram.add(value, weight, at)
        if place != index:
            without.add(value, weight, at)
    most = max(histogram.weights.values())
    histogram.subtract(*values[index])
    for bucket in histogram.weights.keys() | without.weights.keys():
        had, wanted = histogram.weights.get(bucket, 0.0), without.weights.get(bucket, 0.0)
        assert had == pytest.approx(wanted, abs=max(1e-4, 1e-12 * most))


def test_buckets_are_the_recommenders() -> None:
    """Of cpu from 1 millicore to 1000 cores, of memory from 10 MB to 1 TB, each 5 % wider."""
    for buckets, first, most in ((CPU, 0.001, 1000.0), (MEMORY, 1e7, 1e12)):
        assert buckets.find(0) == buckets.find(first * 0.99) == 0
        assert buckets.start(1) == pytest.approx(first)
        assert buckets.start(2) == pytest.approx(first * 2.05)
        assert buckets.find(most * 10) == buckets.count - 1
        assert buckets.start(buckets.count - 2) < most <= buckets.start(buckets.count - 1)
    assert MEMORY.count == 176


def test_half_of_a_weight_is_gone_after_a_day() -> None:
    histogram = Histogram(CPU)
    histogram.add(1.0, 1.0, 0.0)
    histogram.add(2.0, 0.5001, DAY_S * 0)
    histogram.add(2.0, 0.26, DAY_S)
    assert histogram.percentile(0.49) < 2.0 < histogram.percentile(0.51)


def test_years_do_not_overflow() -> None:
    histogram = Histogram(CPU)
    for day in range(0, 4000, 7):
        histogram.add(day % 5 + 0.1, 0.1, day * DAY_S)
    assert all(math.isfinite(one) for one in histogram.weights.values())
    assert histogram.percentile(0.5) > 0


def days_of(days: float, cores: float = 0.1, memory: float = 300 * MIB) -> Seen:
    seen = Seen()
    container = Container(seen)
    for minute in range(1, int(days * 1440) + 1):
        container.sample(cores, memory, minute * 60.0)
    return seen


@pytest.mark.parametrize(("days", "factor"), [(0.5, 3.0), (1.0, 2.0), (7.0, 1 + 1 / 7)])
def test_bounds_come_closer_with_confidence(days: float, factor: float) -> None:
    """The factors that upstream's own comments give: three after 12 hours, two after a day."""
    found = recommended(days_of(days), 1)
    target, upper, lower = found["target"], found["upperBound"], found["lowerBound"]
    assert target is not None
    assert upper is not None
    assert lower is not None
    assert upper.cpu / target.cpu == pytest.approx(factor, rel=0.02)
    assert lower.cpu == pytest.approx(target.cpu, rel=0.02)
    assert 115 <= target.cpu <= 115 * 1.06
    assert 345 * MIB <= target.memory <= 345 * MIB * 1.06


def test_a_pod_is_recommended_at_least_something() -> None:
    found = recommended(days_of(1, 0.0001, MIB), 2)["target"]
    assert found is not None
    assert (found.cpu, found.memory) == (13, 125 * MIB)


def test_nothing_is_known_of_bounds_without_time() -> None:
    found = recommended(days_of(1 / 1440), 1)
    assert found["upperBound"] is None
    assert found["target"] is not None


def test_of_memory_the_peak_of_each_day_counts() -> None:
    seen = Seen()
    container = Container(seen)
    for day in range(3):
        for hour, mib in enumerate((100, 300, 200)):
            container.sample(0.1, mib * MIB, (day + 0.1 + hour / 24) * DAY_S)
    assert len(seen.memory.weights) == 1
    assert seen.memory.percentile(0.01) >= 300 * MIB


def test_kills_do_not_add_up() -> None:
    seen = Seen()
    container = Container(seen)
    container.sample(0.1, 500 * MIB, 100.0)
    for at in (200.0, 300.0, 400.0):
        container.ran_out(400 * MIB, at)
    assert 600 * MIB <= seen.memory.percentile(1.0) <= 600 * MIB * 1.06


def test_the_same_measurement_counts_once() -> None:
    seen = Seen()
    container = Container(seen)
    for _ in range(3):
        container.sample(0.1, MIB, 100.0)
    assert seen.samples == 1
