"""What /metrics tells of Jobs and CronJobs, under upstream's names
(pkg/controller/{job,cronjob}/metrics/metrics.go)."""

from __future__ import annotations

from collections.abc import Iterator

from longshore.base.metrics import Counter, Histogram
from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.common.conditions import find
from longshore.machinery.controllers.job.status import finished

_JOBS, _CRON_JOBS = "job_controller", "cronjob_controller"
# In seconds: 1, 2, 4, ... 512.
_SKEWS = tuple(2.0**power for power in range(10))


class JobMetrics:
    """Counted by the controllers that run here; all of them share one."""

    def __init__(self) -> None:
        self._syncs = Counter(
            f"{_JOBS}_job_syncs_total",
            "Turns of the Job controller, by what they did.",
            ("completion_mode", "result", "action"),
        )
        self._finished = Counter(
            f"{_JOBS}_jobs_finished_total",
            "Jobs that are Complete or Failed.",
            ("completion_mode", "result", "reason"),
        )
        self._pods = Counter(
            f"{_JOBS}_job_pods_finished_total",
            "Pods of Jobs whose end was counted.",
            ("completion_mode", "result"),
        )
        self._creations = Counter(
            f"{_JOBS}_job_pods_creation_total",
            "Pods that Jobs have made, or were refused.",
            ("reason", "status"),
        )
        self._skew = Histogram(
            f"{_CRON_JOBS}_job_creation_skew_duration_seconds",
            "How much later than its time a CronJob's Job was made.",
            (),
            _SKEWS,
        )

    def lines(self) -> Iterator[str]:
        for one in (self._syncs, self._finished, self._pods, self._creations, self._skew):
            yield from one.lines()

    def synced(self, job: Doc, result: str, action: str) -> None:
        """result is success or error; action is tracking, pods_created or pods_deleted."""
        self._syncs.add((_mode(job), result, action))

    def made(self, job: Doc, succeeded: int, failed: int) -> None:
        """Pods were made and refused: the first ones, or others in place of what failed or leaves."""
        status = job.get("status") or {}
        reason = "new"
        if status.get("failed") or status.get("terminating"):
            late = job["spec"].get("podReplacementPolicy") == "Failed"
            reason = "recreate_failed" if late else "recreate_terminating_or_failed"
        for word, count in (("succeeded", succeeded), ("failed", failed)):
            if count:
                self._creations.add((reason, word), count)

    def told(self, job: Doc, status: Doc) -> None:
        """The status that a Job gets, compared with the one that it had."""
        old, mode = job.get("status") or {}, _mode(job)
        for word in ("succeeded", "failed"):
            if (more := status.get(word, 0) - old.get(word, 0)) > 0:
                self._pods.add((mode, word), more)
        if end := finished({"status": status}):
            condition = find(status["conditions"], end)
            result = "succeeded" if end == "Complete" else "failed"
            self._finished.add((mode, result, condition["reason"] if condition else ""))

    def scheduled(self, late_s: float) -> None:
        """A CronJob has made a Job so late."""
        self._skew.put(self._skew.cell(()), late_s)


def _mode(job: Doc) -> str:
    return str(job["spec"].get("completionMode", "NonIndexed"))
