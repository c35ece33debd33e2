"""NodeResourcesBalancedAllocation: a pod should make the use of a node's resources more even.

The score is 50 + (50 + with - without) / 2, where with and without are 100 times 1 less the standard
deviation of the shares that are requested, once the pod is there and before (Kubernetes 1.37).
"""

from __future__ import annotations

import numpy as np

from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.profile import Profile
from longshore.machinery.scheduler.rules.weighing import Weighing, Where, weighing
from longshore.machinery.scheduler.view.columns import Mask, Scores
from longshore.machinery.scheduler.view.view import ClusterView


def score(view: ClusterView, pod_class: PodClass, among: Mask, profile: Profile) -> Scores | None:
    weighed = balance(view, pod_class, profile)
    return None if weighed is None else score_at(view, weighed, slice(0, view.size), 1.0)


def balance(view: ClusterView, pod_class: PodClass, profile: Profile) -> Weighing | None:
    """What is weighed for a pod; None if it asks for none of it, and so may go anywhere."""
    if not any(pod_class.requests.get(name) for name in profile.balanced):
        return None
    resources = [(name, 1.0) for name in profile.balanced]
    return weighing(view, pod_class, resources, scored=False)


def score_at(view: ClusterView, weighed: Weighing, where: Where, more: Scores | float) -> Scores:
    """The score of some rows for the last of so many more pods (a column of numbers: one line for
    each)."""
    there = weighed.there(view.loads, where)
    return gain(weighed, there, weighed.shares(there, more), more)


def gain(
    weighed: Weighing, there: tuple[Scores, Scores], shares: Scores, more: Scores | float
) -> Scores:
    """The score where shares will be in use with the last of so many more pods."""
    before = _unevenness(weighed, weighed.shares(there, more - 1.0), there[1])
    return 75.0 + 50.0 * (before - _unevenness(weighed, shares, there[1]))


def _unevenness(weighed: Weighing, shares: Scores, parts: Scores) -> Scores:
    """The standard deviation of the shares of the resources that a node has."""
    present = weighed.present(parts, shares)
    if present is None and len(shares) == 2:
        apart: Scores = np.abs(shares[0] - shares[1])
        return apart * 0.5
    if present is None:
        present = np.ones_like(shares)
    number = np.maximum(present.sum(axis=0), 1.0)
    mean = (shares * present).sum(axis=0) / number
    deviation: Scores = np.sqrt((present * (shares - mean) ** 2).sum(axis=0) / number)
    return deviation
