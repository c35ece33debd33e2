"""NodeConstraints: the constraint language that jobs of other orchestrators need; none of upstream's
rules (docs/scheduler.md, core/objects/constraints.py).

An attribute has few values on many nodes, so a constraint is asked once for each value.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from longshore.core.objects.constraints import Constraint
from longshore.machinery.scheduler.pods.constraints import key_of
from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.profile import Profile
from longshore.machinery.scheduler.rules.objection import Objection
from longshore.machinery.scheduler.view.columns import Mask, Scores
from longshore.machinery.scheduler.view.view import ClusterView

UNMET = "node(s) didn't meet constraint {}"
SHARED = "node(s) had as many pods of the same controller as constraint distinct_property allows"
TAKEN = "node(s) had a pod of the same controller, which constraint distinct_hosts forbids"


def filter(view: ClusterView, pod_class: PodClass, profile: Profile) -> Iterator[Objection]:
    asked = pod_class.constraints
    if asked is None:
        return
    for one in asked.demands:
        value = f" {one.value}" if one.value else ""
        reason = UNMET.format(f"{one.attribute} {one.operator}{value}")
        yield Objection(~met(view, one), reason, resolvable=False)


def keep_apart(view: ClusterView, pod_class: PodClass, profile: Profile) -> Iterator[Objection]:
    """distinct_hosts and distinct_property: by what pods of the same controller are there."""
    asked = pod_class.constraints
    if asked is None or pod_class.siblings is None:
        return
    for key, most in asked.apart:
        topology = view.topology(key)
        there = topology.shared(view.column(view.counts(pod_class.siblings)))
        alone = most == 1 and topology.alone
        yield Objection((there >= most) | ~topology.inside, TAKEN if alone else SHARED, True)


def score(view: ClusterView, pod_class: PodClass, among: Mask, profile: Profile) -> Scores | None:
    """100 where all that is wished and nothing that is shunned is met, 0 where it is the reverse."""
    asked = pod_class.constraints
    if asked is None or not asked.wishes:
        return None
    wishes = asked.wishes
    return view.remembered(("constraints", wishes), lambda: _weighed(view, wishes))


def _weighed(view: ClusterView, wishes: tuple[Constraint, ...]) -> Scores:
    total = np.full(view.size, float(sum(-min(one.weight, 0) for one in wishes)))
    for one in wishes:
        total += one.weight * met(view, one)
    scores: Scores = total * (100.0 / sum(abs(one.weight) for one in wishes))
    return scores


def met(view: ClusterView, one: Constraint) -> Mask:
    """The rows that meet a constraint."""
    return view.remembered(("constraint", one), lambda: _asked_of_values(view, one))


def _asked_of_values(view: ClusterView, one: Constraint) -> Mask:
    mask = np.full(view.size, one.met_by(None))
    for value, rows in view.having(key_of(one.attribute)).items():
        mask[list(rows)] = one.met_by(value)
    return mask & view.alive
