"""NodeResourcesBalancedAllocation: a pod should make the use of a node's resources more even.

The score is 50 + (50 + with - without) / 2, where with and without are 100 times 1 less the standard
deviation of the shares that are requested, once the pod is there and before (Kubernetes 1.37).
"""

from __future__ import annotations

import numpy as np

from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.profile import Profile
from longshore.machinery.scheduler.rules.node_resources_fit import everywhere, weighed_column
from longshore.machinery.scheduler.view.columns import Mask, Rows, Scores
from longshore.machinery.scheduler.view.view import ClusterView


def score(view: ClusterView, pod_class: PodClass, among: Mask, profile: Profile) -> Scores | None:
    return score_at(view, pod_class, profile, np.arange(view.size), 1.0)


def score_at(
    view: ClusterView,
    pod_class: PodClass,
    profile: Profile,
    rows: Rows | slice,
    more: Scores | float,
) -> Scores | None:
    """The score of some rows for the last of so many more pods (a column of numbers: one line for
    each); None for pods that ask for none of the resources, which are to go anywhere."""
    if not any(pod_class.requests.get(name) for name in profile.balanced):
        return None
    gain = _unevenness(view, pod_class, profile, rows, more - 1.0)
    gain = gain - _unevenness(view, pod_class, profile, rows, more)
    return 75.0 + 50.0 * gain


def _unevenness(
    view: ClusterView,
    pod_class: PodClass,
    profile: Profile,
    rows: Rows | slice,
    more: Scores | float,
) -> Scores:
    """The standard deviation of the shares of the resources that a node has."""
    shares, present = [], []
    for name in profile.balanced:
        column = weighed_column(view, pod_class, name)
        if column is None:
            continue
        parts = view.parts[column, rows]
        taken = view.used[column, rows] + pod_class.requests.get(name, 0) * more
        shares.append(np.minimum(taken * parts, 1.0))
        present.append(None if everywhere(view, column) else parts > 0)
    if len(shares) == 2:
        apart: Scores = np.abs(shares[0] - shares[1]) * 0.5
        for mask in present:
            apart = apart if mask is None else apart * mask
        return apart
    return _deviation(shares, [np.ones(1, np.bool_) if mask is None else mask for mask in present])


def _deviation(shares: list[Scores], present: list[Mask]) -> Scores:
    number = np.maximum(sum(mask * 1.0 for mask in present), 1.0)
    mean = sum(share * mask for share, mask in zip(shares, present, strict=True)) / number
    squares = sum(mask * (share - mean) ** 2 for share, mask in zip(shares, present, strict=True))
    deviation: Scores = np.sqrt(squares / number)
    return deviation
