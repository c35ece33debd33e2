"""Schedules: what they say, and why others are none."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.core.objects.cron import (
    BadSchedule,
    Schedule,
    next_time,
    parse_schedule,
    time_zone_problem,
)
from longshore.core.objects.jobs import parse_indexes


def test_fields() -> None:
    schedule = parse_schedule("*/20 1-3,5 ? JAN-mar 0,fri")
    assert sorted(schedule.minutes) == [0, 20, 40]
    assert sorted(schedule.hours) == [1, 2, 3, 5]
    assert len(schedule.days) == 31
    assert sorted(schedule.months) == [1, 2, 3]
    assert sorted(schedule.weekdays) == [0, 5]
    assert schedule.days_free
    assert not schedule.weekdays_free


def test_a_start_with_a_step_goes_to_the_end() -> None:
    assert sorted(parse_schedule("50/4 * * * *").minutes) == [50, 54, 58]


def test_words_and_intervals() -> None:
    assert parse_schedule("@daily") == parse_schedule("0 0 * * *")
    assert parse_schedule("@every 1h30m").every_s == 5400
    assert parse_schedule("@every 10ms").every_s == 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty spec string"),
        ("* * * * * *", "expected exactly 5 fields, found 6: [* * * * * *]"),
        ("61 * * * *", "end of range (61) above maximum (59): 61"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'),
        ("@fortnightly", "unrecognized descriptor: @fortnightly"),
        ("@every soon", 'failed to parse duration @every soon: time: invalid duration "soon"'),
    ],
)
def test_others_are_refused(text: str, why: str) -> None:
    with pytest.raises(BadSchedule) as refusal:
        parse_schedule(text)
    assert str(refusal.value) == why


@pytest.mark.parametrize(
    ("name", "bad"),
    [("Europe/Berlin", False), ("UTC", False), ("", True), ("local", True), ("../etc/passwd", True),
     ("Europe", True), ("a\0b", True)],
)  # fmt: skip
def test_time_zones(name: str, bad: bool) -> None:
    assert bool(time_zone_problem(name)) is bad


@pytest.mark.parametrize(
    ("text", "ranges"), [("", []), ("0", [(0, 0)]), ("0,2-4", [(0, 0), (2, 4)])]
)
def test_sets_of_indexes(text: str, ranges: list[tuple[int, int]]) -> None:
    assert parse_indexes(text, 5) == ranges


@pytest.mark.parametrize("text", ["5", "1,1", "3-2", "a", "1-", ",", "2,1", "-1"])
def test_others_are_no_sets(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_indexes(text, 5)


# ---- when the next time is

_UTC = ZoneInfo("UTC")
_VIENNA = ZoneInfo("Europe/Vienna")


def _at(text: str, zone: ZoneInfo = _UTC) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def _shown(at: float | None, zone: ZoneInfo = _UTC) -> str:
    assert at is not None
    return datetime.fromtimestamp(at, zone).isoformat(timespec="minutes")


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        ("* * * * *", "2026-01-01T00:00", "2026-01-01T00:01"),
        ("*/15 * * * *", "2026-01-01T00:46", "2026-01-01T01:00"),
        ("30 6-16/4 * * 1-5", "2026-01-02T14:31", "2026-01-05T06:30"),
        ("0 0 29 2 *", "2026-01-01T00:00", "2028-02-29T00:00"),
        ("0 0 13 * 5", "2026-01-01T00:00", "2026-01-02T00:00"),
        ("@monthly", "2026-12-31T23:59", "2027-01-01T00:00"),
    ],
)
def test_the_next_time(text: str, after: str, expected: str) -> None:
    assert _shown(next_time(parse_schedule(text), _at(after), _UTC)) == f"{expected}+00:00"


def test_every_so_often_counts_from_the_last_time() -> None:
    assert next_time(parse_schedule("@every 90s"), 1000.7, _UTC) == 1090


def test_a_day_that_never_comes() -> None:
    assert next_time(parse_schedule("0 0 30 2 *"), 0, _UTC) is None


def test_an_hour_that_clocks_leave_out_is_left_out_and_one_that_they_repeat_comes_twice() -> None:
    """In Vienna, 2:30 is not there on 29 March 2026, and twice on 25 October."""
    daily = parse_schedule("30 2 * * *")
    spring = next_time(daily, _at("2026-03-28T03:00", _VIENNA), _VIENNA)
    assert _shown(spring, _VIENNA) == "2026-03-30T02:30+02:00"
    first = next_time(daily, _at("2026-10-24T12:00", _VIENNA), _VIENNA)
    assert _shown(first, _VIENNA) == "2026-10-25T02:30+02:00"
    assert first is not None
    assert _shown(next_time(daily, first, _VIENNA), _VIENNA) == "2026-10-25T02:30+01:00"


_FIELD = st.sampled_from(["*", "*/2", "1", "1-3", "0,5", "*/7"])
_DAY = st.sampled_from(["*", "1", "15", "28-31", "*/10"])
_MONTH = st.sampled_from(["*", "1", "2-3", "*/5"])


@given(
    st.tuples(_FIELD, _FIELD, _DAY, _MONTH, st.sampled_from(["*", "1-5", "0", "6"])),
    st.integers(1_767_225_600, 1_830_297_600),
    st.sampled_from([_UTC, _VIENNA, ZoneInfo("Asia/Kolkata"), ZoneInfo("America/New_York")]),
)
def test_no_minute_before_the_next_time_is_one_of_the_schedule(
    fields: tuple[str, ...], after: int, zone: ZoneInfo
) -> None:
    schedule = parse_schedule(" ".join(fields))
    found = next_time(schedule, after, zone)
    assert found is not None and found > after and found % 60 == 0
    start, minutes = after // 60 * 60 + 60, range(3 * 24 * 60)
    tried = (start + 60 * minute for minute in minutes)
    first = next((at for at in tried if _fits(schedule, datetime.fromtimestamp(at, zone))), None)
    assert first == found if first is not None else found >= start + 60 * len(minutes)


def _fits(schedule: Schedule, local: datetime) -> bool:
    days = local.day in schedule.days, local.isoweekday() % 7 in schedule.weekdays
    free = schedule.days_free or schedule.weekdays_free
    return (
        local.minute in schedule.minutes
        and local.hour in schedule.hours
        and local.month in schedule.months
        and (all(days) if free else any(days))
    )
