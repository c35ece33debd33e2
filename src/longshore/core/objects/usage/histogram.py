"""Distributions that forget: what was seen a day ago counts half of what is seen now.

The rules are those of the Vertical Pod Autoscaler's recommender (kubernetes/autoscaler,
vertical-pod-autoscaler/pkg/recommender: util/histogram.go, util/decaying_histogram.go,
model/aggregations_config.go): buckets whose widths grow by 5 %, weights that double every half-life
instead of being made smaller, and percentiles that are the end of the bucket they fall into.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

HALF_LIFE_S = 86_400.0
_GROWTH = 1.05
# A weight below this is none.
_EPSILON = 0.0001
# Weights are made small again before they have doubled as often as that.
_DOUBLINGS_MAX = 100
# Written down, the largest weight of a histogram is this, and others in proportion.
WRITTEN_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Buckets:
    """From 0 to some value; the first bucket ends at `first`, and each is 5 % wider than the last."""

    first: float
    count: int

    @staticmethod
    def up_to(most: float, first: float) -> Buckets:
        """So many that the last one begins at that value or beyond."""
        return Buckets(
            first, math.ceil(math.log(most * (_GROWTH - 1) / first + 1) / math.log(_GROWTH)) + 1
        )

    def find(self, value: float) -> int:
        """The bucket of a value; the last one has no end."""
        if value < self.first:
            return 0
        place = int(math.log(value * (_GROWTH - 1) / self.first + 1) / math.log(_GROWTH))
        return min(place, self.count - 1)

    def start(self, bucket: int) -> float:
        """Where a bucket begins."""
        return self.first * (_GROWTH**bucket - 1) / (_GROWTH - 1)


CPU = Buckets.up_to(1000.0, 0.001)
"""In cores."""
MEMORY = Buckets.up_to(1e12, 1e7)
"""In bytes."""
BUCKETS: Mapping[str, int] = {"cpu": CPU.count, "memory": MEMORY.count}


@dataclass(slots=True)
class Histogram:
    """Weights by bucket, as of a reference time (seconds since the epoch, a multiple of the
    half-life): a weight counts 2 ** (age / half-life) more for each day that its sample is younger."""

    buckets: Buckets
    reference: float = 0.0
    weights: dict[int, float] = field(default_factory=dict)

    def add(self, value: float, weight: float, at: float) -> None:
        """A sample of that weight, at a moment."""
        bucket = self.buckets.find(value)
        self.weights[bucket] = self.weights.get(bucket, 0.0) + weight * self._factor(at)

    def subtract(self, value: float, weight: float, at: float) -> None:
        """Take back what add() was given."""
        bucket = self.buckets.find(value)
        left = self.weights.get(bucket, 0.0) - weight * self._factor(at)
        if left < _EPSILON:
            self.weights.pop(bucket, None)
        else:
            self.weights[bucket] = left

    def percentile(self, share: float) -> float:
        """The end of the first bucket up to which that share of all weight lies; 0 if there is none."""
        if not self.weights:
            return 0.0
        wanted, seen = share * sum(self.weights.values()), 0.0
        for bucket in sorted(self.weights):
            seen += self.weights[bucket]
            if seen >= wanted:
                break
        return self.buckets.start(min(bucket + 1, self.buckets.count - 1))

    def written(self) -> dict[str, float | dict[str, int]]:
        """The histogram as JSON has it. Weights are rounded, which moves a percentile by one bucket at
        most where a share ends just there."""
        largest = max(self.weights.values(), default=0.0)
        shares = {
            str(bucket): share
            for bucket, weight in sorted(self.weights.items())
            if (share := round(weight / largest * WRITTEN_MAX)) > 0
        }
        total = sum(self.weights.values())
        return {"referenceSeconds": self.reference, "totalWeight": total, "weights": shares}

    @staticmethod
    def read(buckets: Buckets, written: Mapping[str, object]) -> Histogram:
        """What written() gave."""
        shares, total = written.get("weights"), written.get("totalWeight")
        reference = written.get("referenceSeconds")
        assert isinstance(shares, dict)
        assert isinstance(total, int | float)
        assert isinstance(reference, int | float)
        unit = total / (sum(shares.values()) or 1)
        weights = {int(bucket): share * unit for bucket, share in shares.items()}
        return Histogram(buckets, float(reference), weights)

    def _factor(self, at: float) -> float:
        if at > self.reference + _DOUBLINGS_MAX * HALF_LIFE_S:
            self._refer_to(round(at / HALF_LIFE_S) * HALF_LIFE_S)
        return math.exp2((at - self.reference) / HALF_LIFE_S)

    def _refer_to(self, reference: float) -> None:
        smaller = math.exp2((self.reference - reference) / HALF_LIFE_S)
        scaled = ((bucket, weight * smaller) for bucket, weight in self.weights.items())
        self.weights = {bucket: weight for bucket, weight in scaled if weight >= _EPSILON}
        self.reference = reference
