"""What is counted about devices, under upstream's names (pkg/kubelet/metrics/metrics.go)."""

from __future__ import annotations

from collections.abc import Iterator

from longshore.base.metrics import Counter, Histogram

_BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class DeviceMetrics:
    """Since the agent started."""

    def __init__(self) -> None:
        self._registrations = Counter(
            "kubelet_device_plugin_registration_total",
            "Cumulative number of device plugin registrations. Broken down by resource name.",
            ("resource_name",),
        )
        self._allocations = Histogram(
            "kubelet_device_plugin_alloc_duration_seconds",
            "Duration in seconds to serve a device plugin Allocation request. Broken down by resource name.",
            ("resource_name",), _BOUNDS_S,
        )  # fmt: skip
        self._claims = Histogram(
            "kubelet_dra_operations_duration_seconds",
            "Latency histogram in seconds for the duration of handling all ResourceClaims referenced by "
            "a pod when the pod starts or stops.",
            ("operation_name", "is_error"), _BOUNDS_S,
        )  # fmt: skip

    def registered(self, resource: str) -> None:
        """A plugin has offered it."""
        self._registrations.add((resource,))

    def allocated(self, resource: str, seconds: float) -> None:
        """A plugin has answered."""
        self._allocations.put(self._allocations.cell((resource,)), seconds)

    def claimed(self, operation: str, seconds: float, *, failed: bool) -> None:
        """operation: PrepareResources or UnprepareResources, of one pod."""
        labels = (operation, "true" if failed else "false")
        self._claims.put(self._claims.cell(labels), seconds)

    def lines(self) -> Iterator[str]:
        """In Prometheus' text format."""
        for one in (self._registrations, self._allocations, self._claims):
            yield from one.lines()
