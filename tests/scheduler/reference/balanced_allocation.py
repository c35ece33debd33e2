"""NodeResourcesBalancedAllocation: whether the pod brings a node's resources nearer to one level.

kubernetes.io/docs/reference/scheduling/config ("favors nodes that would obtain a more balanced
resource usage if the Pod is scheduled there"), and balancedResourceScorer: the level is how far
the shares in use deviate, before and after the pod; no change is 75, from 50 to 100.
"""

from __future__ import annotations

import math
from collections import Counter

from longshore.core.objects.kinds import Doc

from . import amounts
from .cluster import Cluster, Scores, name_of
from .node_resources_fit import used
from .profile import Profile


def score(cluster: Cluster, pod: Doc, among: list[Doc], profile: Profile) -> Scores | None:
    wanted = amounts.requests(pod)
    if not any(wanted[name] for name in profile.balanced):
        return None
    return {name_of(node): _gain(cluster, node, wanted, profile) for node in among}


def _gain(cluster: Cluster, node: Doc, wanted: Counter[str], profile: Profile) -> float:
    offered, taken = amounts.offered(node), used(cluster, node)
    weighed = [
        name
        for name in profile.balanced
        if offered[name] and (wanted[name] or not amounts.is_scalar(name))
    ]
    before = evenness([taken[name] / offered[name] for name in weighed])
    after = evenness([(taken[name] + wanted[name]) / offered[name] for name in weighed])
    return 50.0 + (50.0 + after - before) / 2.0


def evenness(shares: list[float]) -> float:
    """100 less the standard deviation in hundredths; a share is at most 1."""
    if len(shares) < 2:
        return 100.0
    capped = [min(share, 1.0) for share in shares]
    mean = sum(capped) / len(capped)
    variance = sum((share - mean) ** 2 for share in capped) / len(capped)
    return 100.0 * (1.0 - math.sqrt(variance))
