"""ImageLocality: rather where the images are (pkg/scheduler/framework/plugins/imagelocality).

https://kubernetes.io/docs/reference/scheduling/config/#scheduling-plugins
"""

from __future__ import annotations

import numpy as np

from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.profile import Profile
from longshore.machinery.scheduler.view.columns import Mask, Scores
from longshore.machinery.scheduler.view.view import ClusterView

# Images together smaller than this say nothing; for each image, more than that says no more.
LEAST_BYTES, MOST_BYTES = 23 * 1024**2, 1000 * 1024**2


def score(view: ClusterView, pod_class: PodClass, among: Mask, profile: Profile) -> Scores | None:
    names = pod_class.images
    if view.images.empty:
        return None
    there = view.images.spread_sizes(names, view.size, len(view.rows))
    if there is None:
        return None
    most = MOST_BYTES * len(names)
    scores: Scores = (np.clip(there, LEAST_BYTES, most) - LEAST_BYTES) * (
        100.0 / (most - LEAST_BYTES)
    )
    return scores if scores.any() else None
