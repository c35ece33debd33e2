"""Schedules: what they say, and why others are none."""

from __future__ import annotations

import pytest

from longshore.core.objects.cron import BadSchedule, parse_schedule, time_zone_problem
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
