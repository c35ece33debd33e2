"""What /metrics tells of priority and fairness, under upstream's names
(apiserver/pkg/util/flowcontrol/metrics/metrics.go)."""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Callable, Iterable, Iterator

from longshore.base.metrics import Counter, Histogram, Labels, gauge
from longshore.doors.kubernetes.fairness.levels import Pool

_PREFIX = "apiserver_flowcontrol"
_FLOW = ("priority_level", "flow_schema")
# In seconds, as upstream's.
_BOUNDS = (0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30)


class Series:
    """The numbers of one flow schema in one priority level: dispatched and rejected (by reason)
    only grow, the others are of now."""

    __slots__ = ("dispatched", "executing", "labels", "rejected", "seats", "waiting", "waits")

    def __init__(self, labels: Labels, waits: Histogram) -> None:
        self.labels = labels
        self.dispatched = self.executing = self.seats = self.waiting = 0
        self.rejected: Counts[str] = Counts()
        self.waits = {ran: waits.cell((*labels, str(ran).lower())) for ran in (True, False)}


class Measures:
    """All series of a server."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._series: dict[Labels, Series] = {}
        self._waits = Histogram(
            f"{_PREFIX}_request_wait_duration_seconds",
            "Seconds that requests spent in their queues, by whether they were executed then.",
            (*_FLOW, "execute"), _BOUNDS,
        )  # fmt: skip

    def of(self, level: str, schema: str) -> Series:
        labels = level, schema
        found = self._series.get(labels)
        if found is None:
            found = self._series[labels] = Series(labels, self._waits)
        return found

    def waited(self, series: Series, seconds: float, *, executed: bool) -> None:
        self._waits.put(series.waits[executed], seconds)

    def lines(self) -> Iterator[str]:
        """All of it, as Prometheus reads it."""
        yield from self._dispatched().lines()
        yield from self._rejected().lines()
        yield from self._waits.lines()
        yield from self._now("current_inqueue_requests", "Requests in queues.", _waiting)
        yield from self._now("current_executing_requests", "Requests at work.", _executing)
        yield from self._now("current_executing_seats", "Seats of requests at work.", _seats)
        yield from self._limits()

    def _dispatched(self) -> Counter:
        counter = Counter(f"{_PREFIX}_dispatched_requests_total", "Requests let in.", _FLOW)
        for series in self._series.values():
            counter.add(series.labels, series.dispatched)
        return counter

    def _rejected(self) -> Counter:
        name = f"{_PREFIX}_rejected_requests_total"
        counter = Counter(name, "Requests refused.", (*_FLOW, "reason"))
        for series in self._series.values():
            for reason, count in series.rejected.items():
                counter.add((*series.labels, reason), count)
        return counter

    def _now(self, name: str, help_text: str, of: Callable[[Series], float]) -> Iterator[str]:
        values = ((series.labels, of(series)) for series in self._series.values())
        return gauge(f"{_PREFIX}_{name}", help_text, _FLOW, values)

    def _limits(self) -> Iterable[str]:
        nominal = (((level.name,), float(level.nominal)) for level in self._pool.levels.values())
        name = f"{_PREFIX}_nominal_limit_seats"
        return gauge(name, "Seats that each level has by its shares.", _FLOW[:1], nominal)


def _waiting(series: Series) -> float:
    return series.waiting


def _executing(series: Series) -> float:
    return series.executing


def _seats(series: Series) -> float:
    return series.seats
