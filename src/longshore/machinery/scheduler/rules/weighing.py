"""Which resources a rule weighs for a pod, and how much of them will be in use."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.view.columns import CPU, MEMORY, Rows, Scores
from longshore.machinery.scheduler.view.view import ClusterView

T = TypeVar("T", bound=np.generic)
Where: TypeAlias = Rows | slice


@dataclass(frozen=True, slots=True, eq=False)
class Weighing:
    """One line a resource. lines: which of the view's. asked: what one pod adds, weights: of the
    mean; as columns of one entry a line. everywhere: whether all nodes have all of them."""

    lines: Rows | slice
    asked: Scores
    weights: Scores
    everywhere: bool

    def shares(self, there: Scores, parts: Scores, more: Scores | float) -> Scores:
        """The share of each resource in use where there is so much and come so many more pods, at
        most 1; with a column of numbers of pods one line for each of them."""
        if isinstance(more, float):
            found = (there + self.asked * more if more else there) * parts
        else:
            found = (there[:, None] + self.asked[:, :, None] * more) * parts[:, None]
        return np.minimum(found, 1.0, out=found)

    def present(self, parts: Scores, like: Scores) -> Scores | None:
        """1 where a node has a resource and 0 where not, in the shape of shares(); None if all
        nodes have all of them."""
        if self.everywhere:
            return None
        mask = (parts > 0).astype(np.float64)
        return mask if like.ndim == mask.ndim else np.broadcast_to(mask[:, None], like.shape)

    def cut(self, lines: Scores, where: Where) -> Scores:
        """What is weighed, of some rows."""
        return cut(lines[self.lines], where)


def cut(lines: NDArray[T], where: Where) -> NDArray[T]:
    """Some rows of lines (take() is several times faster than an index)."""
    return lines[:, where] if isinstance(where, slice) else lines.take(where, axis=1)


def weighing(
    view: ClusterView, pod_class: PodClass, resources: Iterable[tuple[str, float]], scored: bool
) -> Weighing:
    """resources: with weights. What is not common to all pods counts only if the pod asks for it.
    scored: with cpu and memory as scores count them."""
    chosen = [
        (view.resources[name], name, weight)
        for name, weight in resources
        if name in view.resources and (name in pod_class.requests or not _is_special(name))
    ]
    lines = [line for line, _, _ in chosen]
    asked = [pod_class.requests.get(name, 0) for _, name, _ in chosen]
    if scored:
        amounts = {CPU: pod_class.scored[0], MEMORY: pod_class.scored[1]}
        asked = [amounts.get(line, amount) for line, amount in zip(lines, asked, strict=True)]
    parts = view.parts[lines][:, view.alive]
    return Weighing(
        lines=slice(0, 2) if lines == [CPU, MEMORY] else np.array(lines, np.intp),
        asked=np.array(asked, np.float64)[:, None],
        weights=np.array([weight for _, _, weight in chosen])[:, None],
        everywhere=bool((parts > 0).all()),
    )


def _is_special(resource: str) -> bool:
    return "/" in resource or resource.startswith("hugepages-")
