"""When a CronJob was to make a Job last, and when it is to make the next. Pure.

Rules: pkg/controller/cronjob/utils.go."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from longshore.base.clock import parse_rfc3339
from longshore.core.objects.cron import Schedule, next_time
from longshore.core.objects.kinds import Doc

# More missed times than this are told of: the clock may be wrong.
MANY = 100
# So much later than due, so that clocks that differ a little do not matter.
LATE_S = 0.1


class NoTimes(ValueError):
    """A schedule that is well written, and of which no time ever comes."""


@dataclass(frozen=True, slots=True)
class Due:
    """at: the newest time that has come since the last Job, in seconds since the epoch; None if none
    has. many: whether there were more than MANY before it. wake_at: when the next one comes."""

    at: float | None
    many: bool
    wake_at: float | None


def due(cron: Doc, schedule: Schedule, zone: ZoneInfo, now: float) -> Due:
    """Raises NoTimes."""
    known = _known(cron)
    deadline = cron["spec"].get("startingDeadlineSeconds")
    since = known if deadline is None else max(known, now - float(deadline))
    at, many = _newest(schedule, zone, since, now)
    # What a deadline leaves out is missed all the same: the next one is not among it.
    nothing_since = _newest(schedule, zone, known, now)[0] is None
    following = next_time(schedule, at or (known if nothing_since else now), zone)
    return Due(at, many, None if following is None else following + LATE_S)


def _known(cron: Doc) -> float:
    """The last time a Job was made for; else when the CronJob was made."""
    last = (cron.get("status") or {}).get("lastScheduleTime")
    return parse_rfc3339(last or cron["metadata"]["creationTimestamp"])


def _newest(
    schedule: Schedule, zone: ZoneInfo, since: float, now: float
) -> tuple[float | None, bool]:
    first = next_time(schedule, since, zone)
    second = None if first is None else next_time(schedule, first, zone)
    if first is None or second is None:
        raise NoTimes("time difference between two schedules is less than 1 second")
    if now < first:
        return None, False
    if now < second:
        return first, False
    many = (now - first) // (second - first) + 1 > MANY
    if schedule.every_s:
        return first + (now - first) // schedule.every_s * schedule.every_s, many
    return _last_before(schedule, zone, first, now), many


def _last_before(schedule: Schedule, zone: ZoneInfo, first: float, now: float) -> float:
    """The last time up to now. Looks back twice as far until there is one, so that years of missed
    minutes cost no more than a few looks."""
    span = 60.0
    while (found := next_time(schedule, max(first - 1, now - span), zone)) is None or found > now:
        span *= 2
    while (later := next_time(schedule, found, zone)) is not None and later <= now:
        found = later
    return found
