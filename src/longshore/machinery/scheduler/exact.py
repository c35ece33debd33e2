"""Placing pods of a class one after the other, each as if it were alone."""

from __future__ import annotations

import numpy as np

from longshore.machinery.scheduler.memo import Memo
from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.rules import table
from longshore.machinery.scheduler.view.columns import Mask, Scores
from longshore.machinery.scheduler.view.view import ClusterView


def one_by_one(
    view: ClusterView, pod_class: PodClass, count: int, memo: Memo, seed: int
) -> list[int]:
    """Rows for up to count pods; the view is as it was."""
    rows: list[int] = []
    try:
        while len(rows) < count:
            row = choose(view, pod_class, memo, seed)
            if row is None:
                break
            rows.append(row)
            if len(rows) < count:
                view.hold(row, pod_class, 1)
    finally:
        view.hold_all(rows[: count - 1], pod_class, -1)
    return rows


def choose(view: ClusterView, pod_class: PodClass, memo: Memo, seed: int) -> int | None:
    """The best row for one pod, or None; of equals the first one from a row that the seed gives."""
    if not view.size:
        return None
    total = totals(view, pod_class, memo)
    start = seed % view.size
    best = start + int(total[start:].argmax())
    if start:
        before = int(total[:start].argmax())
        best = before if total[before] > total[best] else best
    return best if total[best] > -np.inf else None


def totals(view: ClusterView, pod_class: PodClass, memo: Memo) -> Scores:
    """The weighed scores of all rows, -inf where a rule objects; not to be changed."""
    fill, mask = memo.fills.of(view, pod_class), suits(view, pod_class, memo)
    total = fill.scores
    if mask is None:
        among = fill.fits
    elif np.count_nonzero(among := fill.fits & mask) < 2:
        # There is nothing to choose, as for the pods of a DaemonSet.
        return np.where(mask, total, -np.inf)
    wishes = table.wishes(view, pod_class, among, memo.profile)
    if wishes is not None:
        total = total + wishes
    return total if mask is None else np.where(mask, total, -np.inf)


def fits(view: ClusterView, pod_class: PodClass, memo: Memo) -> Mask:
    """The rows that take one more pod now."""
    room, mask = memo.fills.of(view, pod_class).fits, suits(view, pod_class, memo)
    return room.copy() if mask is None else room & mask


def suits(view: ClusterView, pod_class: PodClass, memo: Memo) -> Mask | None:
    """The rows to which no rule objects, room for resources aside; None for all nodes."""
    mask = table.suited(view, pod_class, memo.profile)
    for objection in table.changing(view, pod_class, memo.profile):
        mask = ~objection.rows if mask is None else mask & ~objection.rows
    return mask
