"""What projects used, for people: a line each, or one with a chart of each amount over time. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from longshore.core.objects.kinds import Doc

_BARS = "▁▂▃▄▅▆▇█"
_WIDTH = 60
_HOUR_S = 3600
TITLES = ("PROJECT", "CPU", "REQUESTED", "MEMORY", "REQUESTED", "STORAGE", "PODS", "CORE HOURS")


def row(usage: Doc) -> tuple[str, ...]:
    """A project's cells under TITLES."""
    used, asked = usage["usage"], usage["requests"]
    return (
        usage["metadata"]["name"], used["cpu"], asked["cpu"], used["memory"], asked["memory"],
        used["storage"], _pods(usage), f"{core_hours(usage, 'cpu'):.1f}",
    )  # fmt: skip


def of_project(usage: Doc, since: str) -> str:
    """A project's chart and sums."""
    totals, columns = usage["totals"], usage["series"]
    used, asked, peak = usage["usage"], usage["requests"], usage["peak"]
    lines = [
        ("cpu", "cpu", _against("cpu", totals, used, asked, peak)),
        ("memory", "memory", _against("memory", totals, used, asked, peak)),
        ("storage", "storage", used["storage"]),
        ("pods", "pods", _pods(usage)),
    ]
    there = _span(totals["seconds"])
    told = [
        f"{usage['metadata']['name']}: the last {since}, until {usage['until']}; "
        f"something was there for {there}",
        *(
            f"  {title:<8} {sparkline(means(columns[column], columns['seconds']))}  {text}"
            for title, column, text in lines
        ),
        f"  in all {core_hours(usage, 'cpu'):.1f} core hours, of "
        f"{core_hours(usage, 'cpuRequests'):.1f} requested; "
        f"{gib_hours(usage, 'memory'):.1f} GiB hours of memory, of "
        f"{gib_hours(usage, 'memoryRequests'):.1f} requested; "
        f"{gib_hours(usage, 'storage'):.1f} of storage",
    ]
    return "\n".join(told)


def means(amounts: Sequence[int], seconds: Sequence[int]) -> list[float | None]:
    """At most _WIDTH means, each of so many buckets; None where nothing was there."""
    group = max(-(-len(amounts) // _WIDTH), 1)
    made: list[float | None] = []
    for start in range(0, len(amounts), group):
        there = sum(seconds[start : start + group])
        made.append(sum(amounts[start : start + group]) / there if there else None)
    return made


def sparkline(values: Sequence[float | None]) -> str:
    """A bar each, the highest for the largest; a gap where there is no value."""
    top = max((value for value in values if value is not None), default=0.0)
    return "".join(" " if value is None else _bar(value, top) for value in values)


def core_hours(usage: Doc, column: str) -> float:
    return float(usage["totals"][column]) / 1000 / _HOUR_S


def gib_hours(usage: Doc, column: str) -> float:
    return float(usage["totals"][column]) / 1024 / _HOUR_S


def _pods(usage: Doc) -> str:
    return f"{usage['pods']:.1f}".removesuffix(".0")


def _bar(value: float, top: float) -> str:
    return _BARS[min(int(value / top * len(_BARS)), len(_BARS) - 1)] if top else _BARS[0]


def _against(resource: str, totals: Doc, used: Doc, asked: Doc, peak: Doc) -> str:
    wanted = totals[f"{resource}Requests"]
    share = f" ({totals[resource] / wanted:.0%})" if wanted else ""
    return f"{used[resource]} of {asked[resource]} requested{share}, peak {peak[resource]}"


def _span(seconds: int) -> str:
    """1d 4h, 3h 20m, 5m: the two largest units."""
    units = [("d", 86_400), ("h", _HOUR_S), ("m", 60), ("s", 1)]
    told: list[str] = []
    for unit, length in units:
        count, seconds = divmod(seconds, length)
        if count:
            told.append(f"{count}{unit}")
    return " ".join(told[:2]) or "no time"
