"""What /metrics tells of the loops' queues, under upstream's names (client-go's util/workqueue, as
component-base's metrics/prometheus/workqueue registers them)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from longshore.base.metrics import Histogram, Labels, counter, gauge

# In seconds: from 10 ns on, each ten times the one before.
_BOUNDS = tuple(1e-8 * 10.0**power for power in range(10))
_LABELS = ("name",)


class Meter:
    """What is counted of one queue.

    waiting, again and active are the queue's own: since when, in monotonic seconds, each key waits, waits
    while it is worked on, and is worked on. waited and worked take in for how many seconds a key was.
    """

    __slots__ = ("active", "adds", "again", "retries", "waited", "waiting", "worked")

    def __init__(self, waited: Callable[[float], None], worked: Callable[[float], None]) -> None:
        self.adds = 0
        self.retries = 0
        self.waited = waited
        self.worked = worked
        self.waiting: Mapping[Any, float] = {}
        self.again: Mapping[Any, float] = {}
        self.active: Mapping[Any, float] = {}


class WorkQueues:
    """The meters of all queues here, by the queue's name. A loop that is started anew goes on counting."""

    def __init__(self) -> None:
        self._meters: dict[str, Meter] = {}
        self._waited = Histogram(
            "workqueue_queue_duration_seconds",
            "How long keys waited in a queue before they were taken.",
            _LABELS,
            _BOUNDS,
        )
        self._worked = Histogram(
            "workqueue_work_duration_seconds",
            "How long the work on a key took.",
            _LABELS,
            _BOUNDS,
        )

    def meter(self, name: str) -> Meter:
        if name not in self._meters:
            into = (partial(one.put, one.cell((name,))) for one in (self._waited, self._worked))
            self._meters[name] = Meter(*into)
        return self._meters[name]

    def lines(self, now: float) -> Iterator[str]:
        """now is in monotonic seconds."""
        yield from gauge(
            "workqueue_depth",
            "How many keys wait in a queue.",
            _LABELS,
            self._each(lambda one: len(one.waiting) + len(one.again)),
        )
        yield from counter(
            "workqueue_adds_total",
            "How often a key was put into a queue in which it did not wait yet.",
            _LABELS,
            self._each(lambda one: one.adds),
        )
        yield from self._waited.lines()
        yield from self._worked.lines()
        yield from counter(
            "workqueue_retries_total",
            "How often a key was put off to be looked at later.",
            _LABELS,
            self._each(lambda one: one.retries),
        )
        yield from gauge(
            "workqueue_unfinished_work_seconds",
            "For how long, added up, the keys have been worked on that are being worked on.",
            _LABELS,
            self._each(lambda one: sum(now - begun for begun in one.active.values())),
        )
        yield from gauge(
            "workqueue_longest_running_processor_seconds",
            "For how long the key has been worked on that is being worked on for longest.",
            _LABELS,
            self._each(lambda one: now - min(one.active.values(), default=now)),
        )

    def _each(self, value: Callable[[Meter], float]) -> Iterator[tuple[Labels, float]]:
        return (((name,), value(meter)) for name, meter in self._meters.items())
