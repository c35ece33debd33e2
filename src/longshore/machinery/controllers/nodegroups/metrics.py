"""What /metrics tells of groups of nodes, under upstream's names (cluster-autoscaler/metrics)."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterator, Mapping

from longshore.base.metrics import Counter, gauge

_PREFIX = "cluster_autoscaler"


class ScalingMetrics:
    """Kept by the autoscaler, wherever it runs. The attributes are what was seen last."""

    def __init__(self) -> None:
        self.nodes: Mapping[str, int] = {}
        """How many are ready, unready, notStarted, unregistered."""
        self.groups = 0
        self.most = 0
        self.waiting = 0
        self.unneeded = 0
        self.unremovable: Tally[str] = Tally()
        self.in_cooldown = False
        self._ups = Counter(f"{_PREFIX}_scaled_up_nodes_total", "Number of nodes added by CA.", ())
        self._failed = Counter(
            f"{_PREFIX}_failed_scale_ups_total",
            "Number of times scale-up operation has failed.",
            ("reason",),
        )
        self._downs = Counter(
            f"{_PREFIX}_scaled_down_nodes_total", "Number of nodes removed by CA.", ("reason",)
        )
        self._evicted = Counter(
            f"{_PREFIX}_evicted_pods_total", "Number of pods evicted by CA", ("eviction_result",)
        )
        self._errors = Counter(
            f"{_PREFIX}_errors_total", "The number of CA loops failed due to an error.", ("type",)
        )

    def added(self, count: int) -> None:
        self._ups.add((), count)

    def failed(self, reason: str) -> None:
        """reason is cloudProviderError or timeout."""
        self._failed.add((reason,))

    def removed(self, reason: str) -> None:
        """reason is empty, underutilized or unready."""
        self._downs.add((reason,))

    def evicted(self, result: str) -> None:
        """result is succeeded or failed."""
        self._evicted.add((result,))

    def stumbled(self) -> None:
        """A look ended in a provider's failure."""
        self._errors.add(("cloudProviderError",))

    def lines(self) -> Iterator[str]:
        for one in (self._ups, self._failed, self._downs, self._evicted, self._errors):
            yield from one.lines()
        yield from gauge(
            f"{_PREFIX}_nodes_count", "Number of nodes in cluster.", ("state",),
            [((state,), float(count)) for state, count in self.nodes.items()],
        )  # fmt: skip
        yield from gauge(
            f"{_PREFIX}_unremovable_nodes_count",
            "Number of nodes currently considered unremovable by CA.", ("reason",),
            [((reason,), float(count)) for reason, count in self.unremovable.items()],
        )  # fmt: skip
        for name, help_text, value in self._numbers():
            yield from gauge(f"{_PREFIX}_{name}", help_text, (), [((), float(value))])

    def _numbers(self) -> Iterator[tuple[str, str, int]]:
        yield "max_nodes_count", "Maximum number of nodes in all node groups", self.most
        yield "node_groups_count", "Number of node groups managed by CA.", self.groups
        yield (
            "unschedulable_pods_count", "Number of unschedulable pods in the cluster.", self.waiting
        )  # fmt: skip
        yield (
            "unneeded_nodes_count", "Number of nodes currently considered unneeded by CA.",
            self.unneeded,
        )  # fmt: skip
        yield (
            "scale_down_in_cooldown",
            "Whether or not the scale down is in cooldown. 1 if its, 0 otherwise.",
            int(self.in_cooldown),
        )
