"""The schedules of CronJobs: five fields, or a word such as @daily. Pure.

Grammar: https://en.wikipedia.org/wiki/Cron as github.com/robfig/cron/v3's ParseStandard reads it,
which is what upstream's CronJob controller uses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
# A list of every minute, hour, day, month and weekday is half as long. Upstream has no bound.
_LENGTH_MAX = 1024
# Lowest and highest number of a field, and words for them.
_FIELDS: tuple[tuple[int, int, dict[str, int]], ...] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    (0, 6, {name: number for number, name in enumerate(_DAYS)}),
)
_WORDS = {
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0", "@daily": "0 0 * * *", "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}  # fmt: skip
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|ms|s|m|h)")
_MINUTE_S, _HOUR_S = 60, 3600
# A schedule without a time in so many days has none (29 February comes at least every eight years,
# but robfig/cron gives up after five).
_GIVEN_UP_AFTER_S = 5 * 366 * 86400
_SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}


class BadSchedule(ValueError):
    """Not a schedule; the text says why, in the words of upstream's parser."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When to run: at minutes of hours of days, or every so many seconds (if that is not 0).

    days_free and weekdays_free say whether the field was a star: if both are restricted, a day
    matches that is in either."""

    minutes: frozenset[int] = frozenset()
    hours: frozenset[int] = frozenset()
    days: frozenset[int] = frozenset()
    months: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()
    days_free: bool = True
    weekdays_free: bool = True
    every_s: int = 0


@lru_cache(maxsize=1024)
def parse_schedule(text: str) -> Schedule:
    """Raises BadSchedule."""
    if not text:
        raise BadSchedule("empty spec string")
    if len(text) > _LENGTH_MAX:
        raise BadSchedule(f"must be no more than {_LENGTH_MAX} bytes")
    if text.startswith("@every "):
        return Schedule(every_s=_duration(text.removeprefix("@every ")))
    if text.startswith("@") and text not in _WORDS:
        raise BadSchedule(f"unrecognized descriptor: {text}")
    parts = _WORDS.get(text, text).split()
    if len(parts) != len(_FIELDS):
        raise BadSchedule(
            f"expected exactly {len(_FIELDS)} fields, found {len(parts)}: [{' '.join(parts)}]"
        )
    minutes, hours, days, months, weekdays = (
        _field(part, *form) for part, form in zip(parts, _FIELDS, strict=True)
    )
    free = [any(one[:1] in ("*", "?") for one in part.split(",")) for part in parts]
    return Schedule(minutes, hours, days, months, weekdays, free[2], free[4])


def next_time(schedule: Schedule, after: float, zone: ZoneInfo) -> float | None:
    """The first time of a schedule after a moment, both in seconds since the epoch; None if there is
    none, such as for 30 February. Times that a change of clocks leaves out are left out, those that it
    repeats come twice, as with robfig/cron."""
    if schedule.every_s:
        return float(int(after) + schedule.every_s)
    at = (int(after) // _MINUTE_S + 1) * _MINUTE_S
    last = after + _GIVEN_UP_AFTER_S
    while at <= last:
        step = _seconds_to_next_guess(schedule, datetime.fromtimestamp(at, zone))
        if not step:
            return float(at)
        at += step
    return None


def _seconds_to_next_guess(schedule: Schedule, local: datetime) -> int:
    """0 if it is one of the times; else how long nothing can be."""
    if local.month not in schedule.months:
        first = local.replace(day=1, hour=0, minute=0) + timedelta(days=32)
        return _seconds_until(first.replace(day=1), local)
    if not _is_day(schedule, local):
        return _seconds_until(local.replace(hour=0, minute=0) + timedelta(days=1), local)
    if local.hour not in schedule.hours:
        return _HOUR_S - local.minute * _MINUTE_S
    later = [minute for minute in schedule.minutes if minute >= local.minute]
    return (min(later, default=60) - local.minute) * _MINUTE_S


def _seconds_until(goal: datetime, local: datetime) -> int:
    """As time passes, with changes of clocks; at least a minute, where midnight does not exist."""
    return max(_MINUTE_S, int(goal.replace(fold=0).timestamp() - local.timestamp()))


def _is_day(schedule: Schedule, local: datetime) -> bool:
    day = local.day in schedule.days
    weekday = local.isoweekday() % 7 in schedule.weekdays
    either = not schedule.days_free and not schedule.weekdays_free
    return day or weekday if either else day and weekday


def time_zone_problem(name: str) -> str:
    """Why a name is no time zone of the IANA's; empty if it is one."""
    if not name:
        return "timeZone must be nil or non-empty string"
    if name.lower() == "local":
        return (
            "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        )
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return f"unknown time zone {name}"
    return ""


def _field(text: str, low: int, high: int, words: dict[str, int]) -> frozenset[int]:
    return frozenset().union(*(_range(part, low, high, words) for part in text.split(",") if part))


def _range(text: str, low: int, high: int, words: dict[str, int]) -> frozenset[int]:
    """One of *, 5, 1-5, */2, 1-5/2, 3/2 (which is 3-HIGH/2)."""
    span, *steps = text.split("/")
    ends = span.split("-")
    if len(ends) > 2:
        raise BadSchedule(f"too many hyphens: {text}")
    if len(steps) > 1:
        raise BadSchedule(f"too many slashes: {text}")
    if ends[0] in ("*", "?"):
        first, last = low, high
    else:
        first = _number(ends[0], words)
        last = _number(ends[1], words) if len(ends) > 1 else high if steps else first
    step = _number(steps[0], {}) if steps else 1
    _in_bounds(text, first, last, step, low, high)
    return frozenset(range(first, last + 1, step))


def _in_bounds(text: str, first: int, last: int, step: int, low: int, high: int) -> None:
    if first < low:
        raise BadSchedule(f"beginning of range ({first}) below minimum ({low}): {text}")
    if last > high:
        raise BadSchedule(f"end of range ({last}) above maximum ({high}): {text}")
    if first > last:
        raise BadSchedule(f"beginning of range ({first}) beyond end of range ({last}): {text}")
    if step == 0:
        raise BadSchedule(f"step of range should be a positive number: {text}")


def _number(text: str, words: dict[str, int]) -> int:
    if text.lower() in words:
        return words[text.lower()]
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise BadSchedule(
            f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax'
        )
    return int(text)


def _duration(text: str) -> int:
    """A duration of Go's in whole seconds, at least one."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text or len(text) > 64:
        raise BadSchedule(
            f'failed to parse duration @every {text}: time: invalid duration "{text}"'
        )
    return max(1, int(sum(float(number) * _SECONDS[unit] for number, unit in parts)))
