"""What /metrics tells of the scheduler, under upstream's names (pkg/scheduler/metrics/metrics.go).

Pods are decided about in turns: each of a turn took as long as the turn until its bindings were written,
and an equal part of the time in which it was decided.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter as Counts
from collections.abc import Callable, Iterable, Iterator, Mapping

from longshore.base.metrics import Counter, Histogram, gauge
from longshore.machinery.scheduler.pool import Pending

SCHEDULED, UNSCHEDULABLE, ERROR = "scheduled", "unschedulable", "error"
_ATTEMPTS = tuple(0.001 * 2.0**power for power in range(15))
_DURATIONS = tuple(0.01 * 2.0**power for power in range(20))
# Attempts of a pod are told one by one up to here.
_TOLD_MOST = 15
# Moments at which pods came that are remembered, and pods that were refused: the latest.
_MOMENTS_MAX, _REFUSED_MAX = 4096, 65_536


class SchedulerMetrics:
    """Counted by one scheduler. Times are in monotonic seconds. pending tells how many pods are in which
    of upstream's queues."""

    def __init__(self, pending: Callable[[], Mapping[str, int]]) -> None:
        self._pending = pending
        self._arrivals = 0
        self._moments: list[tuple[int, float]] = []
        self._refusals: dict[str, int] = {}
        labels = ("result", "profile")
        self._results = Counter(
            "scheduler_schedule_attempts_total",
            "Attempts to schedule pods, by what came of them.",
            labels,
        )
        self._attempts = Histogram(
            "scheduler_scheduling_attempt_duration_seconds",
            "How long an attempt took, from the decision until the binding was written.",
            labels,
            _ATTEMPTS,
        )
        self._algorithm = Histogram(
            "scheduler_scheduling_algorithm_duration_seconds",
            "How long it took to decide about a pod.",
            (),
            _ATTEMPTS,
        )
        self._sli = Histogram(
            "scheduler_pod_scheduling_sli_duration_seconds",
            "How long a pod waited for its node since it was heard of, by the attempts that took.",
            ("attempts",),
            _DURATIONS,
        )
        self._at_once = self._sli.cell(("1",))
        self._tries = Histogram(
            "scheduler_pod_scheduling_attempts",
            "How many attempts it took to schedule a pod.",
            (),
            (1, 2, 4, 8, 16),
        )
        self._preemptions = Counter(
            "scheduler_preemption_attempts_total", "Attempts to make room for a pod.", ()
        )
        self._victims = Histogram(
            "scheduler_preemption_victims",
            "How many pods had to go for one.",
            (),
            (1, 2, 4, 8, 16, 32, 64),
        )
        self._incoming = Counter(
            "scheduler_queue_incoming_pods_total",
            "Pods that were put into a queue, by why.",
            ("queue", "event"),
        )

    def lines(self) -> Iterator[str]:
        yield from self._results.lines()
        yield from gauge(
            "scheduler_pending_pods",
            "Pods without a node: being tried (active), tried again soon (backoff), waiting until "
            "something changes (unschedulable), or for a gate, a group or a queue (gated).",
            ("queue",),
            (((queue,), count) for queue, count in self._pending().items()),
        )
        for one in (
            self._attempts, self._algorithm, self._sli, self._tries, self._preemptions,
            self._victims, self._incoming,
        ):  # fmt: skip
            yield from one.lines()

    def came(self, arrivals: int, now: float) -> None:
        """So many pods without a node have been heard of by now."""
        if arrivals > self._arrivals:
            self._moments.append((arrivals, now))
            if len(self._moments) == _MOMENTS_MAX:
                del self._moments[: _MOMENTS_MAX // 2]
            self._incoming.add(("active", "PodAdd"), arrivals - self._arrivals)
            self._arrivals = arrivals

    def restarted(self) -> None:
        """All is heard of anew: who still waits comes again."""
        self._arrivals = 0
        self._moments.clear()

    def decided(self, count: int, seconds: float) -> None:
        """About so many pods within so many seconds."""
        if count:
            self._algorithm.put(self._algorithm.cell(()), seconds / count, count)

    def bound(self, pods: Iterable[Pending], seconds: float, now: float) -> None:
        """Pods have their nodes, so many seconds after that was decided."""
        profiles, tries = Counts[str](), Counts[int]()
        for pod in pods:
            profiles[pod.profile] += 1
            count = 1 + self._refusals.pop(pod.uid, 0) if self._refusals else 1
            tries[count] += 1
            self._sli.put(self._waited(count), now - self._since(pod.order, now))
        for count, those in tries.items():
            self._tries.put(self._tries.cell(()), count, those)
        self._attempted(SCHEDULED, profiles, seconds)

    def refused(self, pods: Iterable[Pending], seconds: float) -> None:
        """No node takes them."""
        profiles = Counts[str]()
        for pod in pods:
            profiles[pod.profile] += 1
            self._refusals[pod.uid] = self._refusals.pop(pod.uid, 0) + 1
            if len(self._refusals) > _REFUSED_MAX:
                del self._refusals[next(iter(self._refusals))]
        self._attempted(UNSCHEDULABLE, profiles, seconds)
        if profiles:
            event = ("unschedulable", "ScheduleAttemptFailure")
            self._incoming.add(event, profiles.total())

    def failed(self, pod: Pending, seconds: float) -> None:
        """It could not be bound, for another reason than that there is no room."""
        self._attempted(ERROR, {pod.profile: 1}, seconds)
        self._incoming.add(("backoff", "ScheduleAttemptFailure"))

    def preempted(self, victims: Iterable[int]) -> None:
        """Room was looked for, each time at the cost of so many pods; 0 if in vain."""
        for count in victims:
            self._preemptions.add(())
            if count:
                self._victims.put(self._victims.cell(()), count)

    def _attempted(self, result: str, profiles: Mapping[str, int], seconds: float) -> None:
        for profile, count in profiles.items():
            self._results.add((result, profile), count)
            self._attempts.put(self._attempts.cell((result, profile)), seconds, count)

    def _waited(self, tries: int) -> list[float]:
        if tries == 1:
            return self._at_once
        return self._sli.cell((str(tries) if tries <= _TOLD_MOST else f"{_TOLD_MOST + 1}+",))

    def _since(self, order: int, now: float) -> float:
        """When the pod that came as the order-th was heard of."""
        at = bisect_left(self._moments, (order, 0.0))
        return self._moments[at][1] if at < len(self._moments) else now
