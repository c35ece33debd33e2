"""What a run comes to: rates and waits, from when each pod was created and seen bound. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Result:
    """pods_per_s is from the first creation to the last pod seen bound; slowest_second is how many
    were bound in the worst whole second of that (as pods_per_s if it took less than one); waits
    are from a pod's creation to its binding seen in a watch; cpu_us is processor time of the whole
    process for each pod; rss_mb what it held at the end."""

    case: str
    nodes: int
    pods: int
    pods_per_s: float
    slowest_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    rss_mb: float

    def as_dict(self) -> dict[str, Any]:
        """Rounded to what was measured."""
        return {
            name: round(value, 1) if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }


def rate(bound: Sequence[float]) -> float:
    """Pods a second; bound are seconds since the first creation, in order."""
    return len(bound) / bound[-1]


def slowest_second(bound: Sequence[float]) -> float:
    """Of the whole seconds from the first creation to the last binding."""
    seconds = int(bound[-1])
    counts = Counter(int(at) for at in bound)
    return float(min(counts[second] for second in range(seconds))) if seconds else rate(bound)


def percentile(waits: Sequence[float], share: float) -> float:
    """The smallest wait that so large a share of all does not exceed (nearest rank); waits are in
    order."""
    return waits[max(0, -int(-len(waits) * share // 1) - 1)]
