"""Spans of time as kubectl shows them (apimachinery/pkg/util/duration.HumanDuration). Pure."""

from __future__ import annotations

from longshore.base.clock import parse_rfc3339

NONE = "<none>"
UNKNOWN = "<unknown>"


class Since:
    """How long ago something was, to be told when it is shown. at is in seconds since the epoch;
    before and behind are the words around it."""

    __slots__ = ("at", "before", "behind")

    def __init__(self, at: float, before: str = "", behind: str = "") -> None:
        self.at = at
        self.before = before
        self.behind = behind

    def text(self, now: float) -> str:
        return f"{self.before}{human_span(now - self.at)}{self.behind}"


def since(timestamp: str | None) -> Since | str:
    """How long ago a timestamp (RFC 3339) was; None is not known."""
    return Since(parse_rfc3339(timestamp)) if timestamp else UNKNOWN


def human_span(seconds: float) -> str:
    """Two units at most, and only where the second one matters: 95s, 4m30s, 3h, 2d5h, 1y40d."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 0:
        return "0s"
    if whole < 120:
        return f"{whole}s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if minutes < 180:
        return _two(minutes, "m", whole % 60 if minutes < 10 else 0, "s")
    if hours < 48:
        return _two(hours, "h", minutes % 60 if hours < 8 else 0, "m")
    if days < 730:
        return _two(days, "d", hours % 24 if days < 8 else 0, "h")
    return _two(days // 365, "y", days % 365 if days < 8 * 365 else 0, "d")


def _two(large: int, unit: str, small: int, small_unit: str) -> str:
    return f"{large}{unit}{small}{small_unit}" if small else f"{large}{unit}"
