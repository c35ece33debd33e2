"""TaintToleration: taints keep off, or discourage, pods without a toleration.

https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from longshore.core.objects.taints import Taint, tolerated, untolerated
from longshore.machinery.scheduler.pods.demand import Demand
from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.profile import Profile
from longshore.machinery.scheduler.rules.objection import Objection, reversed_share
from longshore.machinery.scheduler.view.columns import Mask, Scores
from longshore.machinery.scheduler.view.view import ClusterView

REASON = "node(s) had untolerated taint(s)"


def filter(view: ClusterView, pod_class: PodClass, profile: Profile) -> Iterator[Objection]:
    yield Objection(~tolerates(view, pod_class.demand), REASON, resolvable=False)


def tolerates(view: ClusterView, demand: Demand) -> Mask:
    """The rows whose taints do not keep a pod off."""
    passes = [untolerated(taints, demand.tolerations) is None for taints in view.taint_sets]
    mask: Mask = np.array(passes, np.bool_)[view.taints]
    return mask


def score(view: ClusterView, pod_class: PodClass, among: Mask, profile: Profile) -> Scores | None:
    """The fewer PreferNoSchedule taints that are not tolerated, the better."""
    demand = pod_class.demand
    avoided = view.remembered(("avoided", demand), lambda: _avoided(view, demand))
    return reversed_share(avoided, among) if len(avoided) else None


def _avoided(view: ClusterView, demand: Demand) -> Scores:
    """How many taints discourage each row; nothing if there is no such taint."""
    numbers = np.array([_discouraging(demand, taints) for taints in view.taint_sets], np.float64)
    column: Scores = numbers[view.taints]
    return column if column.any() else column[:0]


def _discouraging(demand: Demand, taints: tuple[Taint, ...]) -> int:
    return sum(
        taint.effect == "PreferNoSchedule" and not tolerated(taint, demand.tolerations)
        for taint in taints
    )
