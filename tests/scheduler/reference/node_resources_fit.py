"""NodeResourcesFit: room for what a pod requests, and how full a node should rather be.

kubernetes.io/docs/concepts/configuration/manage-resources-containers ("how Pods with resource
requests are scheduled") and docs/concepts/scheduling-eviction/resource-bin-packing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from longshore.core.objects.kinds import Doc

from . import amounts
from .cluster import Cluster, Judge, Scores, name_of
from .profile import Profile

TOO_MANY = "Too many pods"


def judge(cluster: Cluster, pod: Doc, profile: Profile) -> Judge:
    wanted = {
        name: amount
        for name, amount in amounts.requests(pod).items()
        if amount > 0 and not is_ignored(name, profile)
    }

    def why(node: Doc) -> list[str]:
        offered, taken = amounts.offered(node), used(cluster, node)
        full = [TOO_MANY] if len(cluster.on(node)) + 1 > offered["pods"] else []
        return full + [
            f"Insufficient {name}"
            for name, amount in wanted.items()
            if amount > offered[name] - taken[name]
        ]

    return why


def is_ignored(name: str, profile: Profile) -> bool:
    group, slash, _ = name.partition("/")
    return bool(slash) and (
        name in profile.ignored_resources or group in profile.ignored_resource_groups
    )


def used(cluster: Cluster, node: Doc) -> Counter[str]:
    taken: Counter[str] = Counter()
    for pod in cluster.on(node):
        taken.update(amounts.requests(pod))
    return taken


def score(cluster: Cluster, pod: Doc, among: list[Doc], profile: Profile) -> Scores:
    """The weighted mean over the resources that the node has."""
    wanted = amounts.scored(pod)
    return {name_of(node): _score_of(cluster, node, wanted, profile) for node in among}


def _score_of(cluster: Cluster, node: Doc, wanted: Counter[str], profile: Profile) -> float:
    parts = list(_parts(cluster, node, wanted, profile))
    if profile.strategy == "RequestedToCapacityRatio":
        # Upstream leaves a resource that scores nothing out of the mean altogether.
        parts = [(score, weight) for score, weight in parts if score > 0]
    total = sum(weight for _, weight in parts)
    return sum(score * weight for score, weight in parts) / total if total else 0.0


def _parts(
    cluster: Cluster, node: Doc, wanted: Counter[str], profile: Profile
) -> Iterator[tuple[float, float]]:
    offered, taken = amounts.offered(node), used(cluster, node)
    assumed: Counter[str] = Counter()
    for other in cluster.on(node):
        assumed.update(amounts.scored(other))
    for name, weight in profile.resources.items():
        if not offered[name] or (amounts.is_scalar(name) and not wanted[name]):
            continue
        already = assumed[name] if name in amounts.UNNAMED else taken[name]
        yield fullness_score((already + wanted[name]) / offered[name], profile), weight


def fullness_score(full: float, profile: Profile) -> float:
    """0 to 100 for a resource of which a share will be in use (more than 1: overcommitted)."""
    if profile.strategy == "LeastAllocated":
        return 100.0 * max(0.0, 1.0 - full)
    if profile.strategy == "MostAllocated":
        return 100.0 * min(1.0, full)
    return 10.0 * _on_line(100.0 * min(1.0, full), profile.shape)


def _on_line(at: float, points: tuple[tuple[float, float], ...]) -> float:
    """The value of a line through points, level before the first and after the last."""
    if at <= points[0][0]:
        return points[0][1]
    for (left, low), (right, high) in pairwise(points):
        if at <= right:
            return low + (high - low) * (at - left) / (right - left)
    return points[-1][1]
