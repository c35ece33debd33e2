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
    most = values.max(where=among, initial=0.0)
    return values * (100.0 / most) if most else values


def reversed_share(values: Scores, among: Mask) -> Scores:
    """100 to 0: the more, the less; none at all is 100."""
    return 100.0 - share_of_most(values, among)


def stretched(values: Scores, among: Mask) -> Scores:
    """0 for the least among some rows, 100 for the most; 0 if they are all alike."""
    least = values.min(where=among, initial=float("inf"))
    width = values.max(where=among, initial=float("-inf")) - least
    if width <= 0:
        return values * 0.0
    scores: Scores = (values - least) * (100.0 / width)
    return scores
