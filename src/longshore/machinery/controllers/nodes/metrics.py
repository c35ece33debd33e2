"""What /metrics tells of zones, under upstream's names (pkg/controller/nodelifecycle/metrics.go)."""

from __future__ import annotations

from collections.abc import Iterator

from longshore.base.metrics import Counter, gauge
from longshore.machinery.controllers.nodes.zones import Zones

_COLLECTOR, _LABELS = "node_collector", ("zone",)


class NodeMetrics:
    """zones are those of the controller that runs here; None: none does."""

    def __init__(self) -> None:
        self.zones: Zones | None = None
        self.evictions = Counter(
            f"{_COLLECTOR}_evictions_total",
            "Nodes that were told to let go of their pods.",
            _LABELS,
        )

    def lines(self) -> Iterator[str]:
        figures = self.zones.figures() if self.zones is not None else []
        for name, help_text, values in (
            ("zone_size", "How many nodes there are in a zone.", [size for _, size, _ in figures]),
            (
                "unhealthy_nodes_in_zone",
                "How many nodes of a zone are not ready.",
                [sick for _, _, sick in figures],
            ),
            (
                "zone_health",
                "How many of a hundred nodes of a zone are ready.",
                [100 * (size - sick) / size if size else 100 for _, size, sick in figures],
            ),
        ):
            told = [((zone,), value) for (zone, _, _), value in zip(figures, values, strict=True)]
            yield from gauge(f"{_COLLECTOR}_{name}", help_text, _LABELS, told)
        yield from self.evictions.lines()
