"""What /metrics tells of autoscalers, under upstream's names (pkg/controller/podautoscaler/monitor)."""

from __future__ import annotations

from collections.abc import Iterator

from longshore.base.metrics import Counter, Histogram

_PREFIX = "horizontal_pod_autoscaler_controller"
# In seconds: 1 ms, 2 ms, 4 ms, ... 16 s.
_BOUNDS = tuple(0.001 * 2**power for power in range(15))


class AutoscalerMetrics:
    """Counted by the controller."""

    def __init__(self) -> None:
        labels = ("action", "error")
        self._syncs = Counter(
            f"{_PREFIX}_reconciliations_total",
            "Number of reconciliations of HPA controller. The label 'action' should be either "
            "'scale_down', 'scale_up', or 'none'. The label 'error' should be either 'spec', "
            "'internal', or 'none'.",
            labels,
        )
        self._durations = Histogram(
            f"{_PREFIX}_reconciliation_duration_seconds",
            "The time(seconds) that the HPA controller takes to reconcile once.",
            labels,
            _BOUNDS,
        )
        self._computations = Counter(
            f"{_PREFIX}_metric_computation_total",
            "Number of metric computations, by what each asked for and the metric's type.",
            ("action", "error", "metric_type"),
        )

    def lines(self) -> Iterator[str]:
        for one in (self._syncs, self._durations, self._computations):
            yield from one.lines()

    def synced(self, action: str, error: str, seconds: float) -> None:
        """One turn of the controller about one autoscaler."""
        self._syncs.add((action, error))
        self._durations.put(self._durations.cell((action, error)), seconds)

    def computed(self, action: str, error: str, metric_type: str) -> None:
        self._computations.add((action, error, metric_type))


def action(before: int, after: int) -> str:
    """The word for a change of replicas."""
    return "none" if before == after else "scale_up" if after > before else "scale_down"
