"""Which resources a rule weighs for a pod, and how much of them will be in use."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.view.columns import CPU, MEMORY, Rows, Scores
from longshore.machinery.scheduler.view.loads import SCORED, Loads
from longshore.machinery.scheduler.view.view import ClusterView

T = TypeVar("T", bound=np.generic)
Where: TypeAlias = Rows | slice


@dataclass(frozen=True, slots=True, eq=False)
class Weighing:
    """One entry a resource. lines: which of the loads'. asked: what one pod adds, as a column.
    weights: of the mean; their sum is 1. everywhere: whether all nodes have all of them."""

    lines: Rows | slice
    asked: Scores
    weights: Scores
    everywhere: bool

    def with_(self, other: Weighing) -> Weighing:
        """Both, this one first: what they have in common is then fetched at once."""
        lines = np.concatenate([_numbers(self.lines), _numbers(other.lines)])
        return Weighing(
            lines=_compact(lines.tolist()),
            asked=np.concatenate([self.asked, other.asked]),
            weights=np.concatenate([self.weights, other.weights]),
            everywhere=self.everywhere and other.everywhere,
        )

    def there(self, loads: Loads, where: Where) -> tuple[Scores, Scores]:
        """What is taken of each resource on some rows, and the reciprocal of what there is."""
        return cut(loads.taken[self.lines], where), cut(loads.parts[self.lines], where)

    def shares(self, there: tuple[Scores, Scores], more: Scores | float) -> Scores:
        """The share of each resource in use once so many more pods are there, at most 1; with a
        column of numbers of pods one line for each of them."""
        taken, parts = there
        if isinstance(more, float):
            found = (taken + self.asked * more if more else taken) * parts
        else:
            found = (taken[:, None] + self.asked[:, :, None] * more) * parts[:, None]
        return np.minimum(found, 1.0, out=found)

    def present(self, parts: Scores, like: Scores) -> Scores | None:
        """1 where a node has a resource and 0 where not, in the shape of shares(); None if all
        nodes have all of them."""
        if self.everywhere:
            return None
        mask = (parts > 0).astype(np.float64)
        return mask if like.ndim == mask.ndim else np.broadcast_to(mask[:, None], like.shape)


def cut(lines: NDArray[T], where: Where) -> NDArray[T]:
    """Some rows of lines (take() is several times faster than an index)."""
    return lines[:, where] if isinstance(where, slice) else lines.take(where, axis=1)


def weighing(
    view: ClusterView, pod_class: PodClass, resources: Iterable[tuple[str, float]], scored: bool
) -> Weighing:
    """resources: with weights. What is not common to all pods counts only if the pod asks for it.
    scored: with cpu and memory as scores count them."""
    lines: list[int] = []
    asked: list[float] = []
    weights: list[float] = []
    for name, weight in resources:
        column = view.resources.get(name)
        if column is None or (_is_special(name) and name not in pod_class.requests):
            continue
        as_scored = scored and column in (CPU, MEMORY)
        lines.append(column if as_scored else SCORED + column)
        asked.append(pod_class.scored[column] if as_scored else pod_class.requests.get(name, 0))
        weights.append(weight)
    return Weighing(
        lines=_compact(lines),
        asked=np.array(asked, np.float64)[:, None],
        weights=np.array(weights) / sum(weights) if weights else np.zeros(0),
        everywhere=bool((view.loads.parts[lines, : view.size][:, view.alive] > 0).all()),
    )


def _numbers(lines: Rows | slice) -> Rows:
    return np.arange(lines.start, lines.stop) if isinstance(lines, slice) else lines


def _compact(lines: list[int]) -> Rows | slice:
    """Neighbouring lines as a slice, which copies nothing."""
    if lines and lines == list(range(lines[0], lines[0] + len(lines))):
        return slice(lines[0], lines[0] + len(lines))
    return np.array(lines, np.intp)


def _is_special(resource: str) -> bool:
    return "/" in resource or resource.startswith("hugepages-")
