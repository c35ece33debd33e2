"""ProjectUsage: what a project used within a window, reckoned up from its history."""

from __future__ import annotations

from fractions import Fraction

from longshore.base import quantities
from longshore.base.clock import rfc3339
from longshore.core.objects.kinds import Doc
from longshore.core.objects.usage.rings import CHUNKS_KEPT_S, STEPS, History, resolution
from longshore.core.objects.usage.series import COLUMNS, Series

WINDOW_S = 86_400
"""How far back is looked if nothing is said."""


class WindowError(ValueError):
    """A window that makes no sense; the message says why."""


def window(now: float, since_s: int, step_s: int) -> tuple[int, int, int]:
    """Begin, end and step, of so many seconds up to now in steps of so many (0: the finest that is
    kept of all that time). The first and last step are whole. Raises WindowError."""
    if not 0 < since_s <= CHUNKS_KEPT_S:
        raise WindowError(f"sinceSeconds: must be between 1 and {CHUNKS_KEPT_S}, inclusive")
    finest = resolution(int(now) - since_s, now)
    step = step_s or finest
    if step < finest or step % finest:
        kept = ", ".join(map(str, STEPS))
        raise WindowError(
            f"stepSeconds: must be a multiple of {finest}, which is kept of that time (of {kept})"
        )
    return int(now - since_s) // step * step, -(-int(now) // step) * step, step


def project_usage(
    project: str, history: History, span: tuple[int, int, int], *, whole: bool
) -> Doc:
    """The object, without kind and version; with its series if it is to be whole. span is as window()
    gives it."""
    since, until, step = span
    series = history.read(step, since, until)
    totals = dict(zip(COLUMNS, series.total(), strict=True))
    doc: Doc = {
        "metadata": {"name": project, "namespace": project},
        "since": rfc3339(since),
        "until": rfc3339(until),
        "stepSeconds": step,
        **_means(totals),
        "peak": _peaks(series),
        "totals": totals,
    }
    if whole:
        columns = zip(COLUMNS, series.columns, strict=True)
        doc["series"] = {name: list(column) for name, column in columns}
    return doc


def _means(totals: dict[str, int]) -> Doc:
    """Over the time in which anything was there."""
    seconds = totals["seconds"] or 1
    return {
        "usage": {
            "cpu": cpu(totals["cpu"], seconds),
            "memory": memory(totals["memory"], seconds),
            "storage": memory(totals["storage"], seconds),
        },
        "requests": {
            "cpu": cpu(totals["cpuRequests"], seconds),
            "memory": memory(totals["memoryRequests"], seconds),
        },
        "pods": round(totals["pods"] / seconds, 1),
    }


def _peaks(series: Series) -> Doc:
    seconds, _, used, held, *_ = series.columns
    busy = [place for place, there in enumerate(seconds) if there]
    return {
        "cpu": max((used[one] / seconds[one], cpu(used[one], seconds[one])) for one in busy)[1],
        "memory": max((held[one] / seconds[one], memory(held[one], seconds[one])) for one in busy)[1],
    } if busy else {"cpu": "0", "memory": "0"}  # fmt: skip


def cpu(millicore_seconds: int, seconds: int) -> str:
    """A mean, as a quantity of whole thousandths."""
    return quantities.text(Fraction(round(millicore_seconds / seconds), 1000))


def memory(mib_seconds: int, seconds: int) -> str:
    """A mean, as a quantity of whole MiB."""
    return quantities.text(round(mib_seconds / seconds) << 20, binary=True)
