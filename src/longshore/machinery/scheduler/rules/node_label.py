"""NodeLabel: nodes that have, or have not, labels of some names, whatever their values: labelsPresence
and labelPreference of Atomic Enterprise.

Source: pkg/scheduler/framework/plugins/nodelabel of Kubernetes 1.22 (the last that had it).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from longshore.core.objects.selectors import Requirement
from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.profile import Profile
from longshore.machinery.scheduler.rules.objection import Objection
from longshore.machinery.scheduler.view.columns import Mask, Scores
from longshore.machinery.scheduler.view.view import ClusterView

REASON = "node(s) didn't have the requested labels"


def filter(view: ClusterView, pod_class: PodClass, profile: Profile) -> Iterator[Objection]:
    terms = tuple(
        Requirement(name, operator)
        for operator, names in (("exists", profile.present_labels), ("!", profile.absent_labels))
        for name in names
    )
    if terms:
        yield Objection(view.alive & ~view.matching(terms), REASON, resolvable=False)


def score(view: ClusterView, pod_class: PodClass, among: Mask, profile: Profile) -> Scores | None:
    """The share of the wishes that a node meets."""
    wishes = [Requirement(name, "exists") for name in profile.liked_labels]
    wishes += [Requirement(name, "!") for name in profile.shunned_labels]
    if not wishes:
        return None
    met = np.zeros(view.size)
    for one in wishes:
        met += view.matching((one,))
    scores: Scores = met * (100.0 / len(wishes))
    return scores
