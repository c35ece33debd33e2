"""What rules answer."""

from __future__ import annotations

from dataclasses import dataclass

from longshore.machinery.scheduler.view.columns import Mask, Scores


@dataclass(frozen=True, slots=True, eq=False)
class Objection:
    """Rows that a rule keeps a pod off, and why, in upstream's words. resolvable: whether taking
    pods away could help (upstream: Unschedulable, not UnschedulableAndUnresolvable). whole: the
    reason is the pod's own, so it is told alone and without numbers of nodes."""

    rows: Mask
    reason: str
    resolvable: bool
    whole: bool = False


def share_of_most(values: Scores, among: Mask) -> Scores:
    """0 to 100 by the greatest value among some rows; none is 0."""
    _, most = extremes(values, among)
    return values * (100.0 / most) if most > 0 else values


def reversed_share(values: Scores, among: Mask) -> Scores:
    """100 to 0: the more, the less; none at all is 100."""
    return 100.0 - share_of_most(values, among)


def stretched(values: Scores, among: Mask) -> Scores:
    """0 for the least among some rows, 100 for the most; 0 if they are all alike."""
    least, most = extremes(values, among)
    return (values - least) * (100.0 / (most - least) if most > least else 0.0)


def extremes(values: Scores, among: Mask) -> tuple[float, float]:
    """The least and the greatest value of some rows; 0 if there are none."""
    chosen = values if among.all() else values[among]
    return (float(chosen.min()), float(chosen.max())) if len(chosen) else (0.0, 0.0)
