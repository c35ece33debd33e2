"""Which resources a rule weighs for a pod, and how much of them will be in use."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.view.columns import CPU, MEMORY, Mask, Rows, Scores
from longshore.machinery.scheduler.view.view import ClusterView

Where: TypeAlias = Rows | slice


@dataclass(frozen=True, slots=True, eq=False)
class Weighing:
    """One line a resource. lines: which of the view's. asked: what one pod adds, weights: of the
    mean; as columns of one entry a line. everywhere: whether all nodes have all of them."""

    lines: Rows | slice
    asked: Scores
    weights: Scores
    everywhere: bool

    def shares(self, taken: Scores, parts: Scores, where: Where, more: Scores | float) -> Scores:
        """The share of each resource that is in use on some rows with so many more pods, at most 1;
        for a column of numbers each, one line."""
        there, part = cut(taken[self.lines], where), cut(parts[self.lines], where)
        if isinstance(more, float):
            found = (there + self.asked * more) * part
        else:
            found = (there[:, None] + self.asked[:, :, None] * more) * part[:, None]
        return np.minimum(found, 1.0, out=found)

    def present(self, parts: Scores, where: Where, more: Scores | float) -> Mask | None:
        """Where a node has a resource, shaped as shares(); None for everywhere."""
        if self.everywhere:
            return None
        mask = cut(parts[self.lines], where) > 0
        return mask if isinstance(more, float) else mask[:, None]


def cut(lines: Scores, where: Where) -> Scores:
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
