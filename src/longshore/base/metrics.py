"""Counters and histograms, and how Prometheus reads them (its text format, version 0.0.4)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

MEDIA = "text/plain; version=0.0.4; charset=utf-8"
Labels = tuple[str, ...]


class Counter:
    """One number for each combination of labels; it only grows."""

    def __init__(self, name: str, help_text: str, labels: Sequence[str]) -> None:
        self._head = _head(name, help_text, "counter")
        self._name, self._labels = name, tuple(labels)
        self.values: dict[Labels, float] = {}

    def add(self, labels: Labels, amount: float = 1) -> None:
        self.values[labels] = self.values.get(labels, 0) + amount

    def lines(self) -> Iterator[str]:
        yield from self._head
        for labels, value in self.values.items():
            yield f"{self._name}{_shown(zip(self._labels, labels, strict=True))} {_number(value)}"


class Histogram:
    """How often a value was at most so large, for each combination of labels. bounds grow."""

    def __init__(
        self, name: str, help_text: str, labels: Sequence[str], bounds: Sequence[float]
    ) -> None:
        self._head = _head(name, help_text, "histogram")
        self._name, self._labels, self._bounds = name, tuple(labels), tuple(bounds)
        # The count of each bucket alone (the last has no bound), and behind them the sum.
        self._buckets: dict[Labels, list[float]] = {}

    def cell(self, labels: Labels) -> list[float]:
        """The buckets of one combination of labels, for put(): found once, used often."""
        return self._buckets.setdefault(labels, [0.0] * (len(self._bounds) + 2))

    def put(self, cell: list[float], value: float, count: int = 1) -> None:
        """So many times the same value."""
        cell[bisect_left(self._bounds, value)] += count
        cell[-1] += value * count

    def lines(self) -> Iterator[str]:
        yield from self._head
        for labels, buckets in self._buckets.items():
            pairs, count = list(zip(self._labels, labels, strict=True)), 0.0
            for bound, those in zip((*self._bounds, float("inf")), buckets, strict=False):
                count += those
                shown = _shown([*pairs, ("le", _number(bound))])
                yield f"{self._name}_bucket{shown} {_number(count)}"
            yield f"{self._name}_sum{_shown(pairs)} {_number(buckets[-1])}"
            yield f"{self._name}_count{_shown(pairs)} {_number(count)}"


def gauge(
    name: str, help_text: str, labels: Sequence[str], values: Iterable[tuple[Labels, float]]
) -> Iterator[str]:
    """The lines of what is looked up when somebody reads it."""
    return _looked_up(_head(name, help_text, "gauge"), name, labels, values)


def counter(
    name: str, help_text: str, labels: Sequence[str], values: Iterable[tuple[Labels, float]]
) -> Iterator[str]:
    """The lines of what somebody else counts."""
    return _looked_up(_head(name, help_text, "counter"), name, labels, values)


def _looked_up(
    head: tuple[str, str], name: str, labels: Sequence[str], values: Iterable[tuple[Labels, float]]
) -> Iterator[str]:
    yield from head
    for each, value in values:
        yield f"{name}{_shown(zip(labels, each, strict=True))} {_number(value)}"


def _head(name: str, help_text: str, kind: str) -> tuple[str, str]:
    return f"# HELP {name} {help_text}", f"# TYPE {name} {kind}"


def _shown(pairs: Iterable[tuple[str, str]]) -> str:
    text = ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs)
    return f"{{{text}}}" if text else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    if value == float("inf"):
        return "+Inf"
    return str(int(value)) if value == int(value) else repr(value)
