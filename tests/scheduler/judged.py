"""Questions to the scheduler about a cluster and a pod, as the documentation's examples put them."""

from __future__ import annotations

from longshore.core.objects.kinds import Doc

from .reference import scheduler
from .reference.cluster import Cluster, name_of
from .reference.profile import DEFAULT, Profile


def fits(cluster: Cluster, pod: Doc, profile: Profile = DEFAULT) -> set[str]:
    """Where the pod may go."""
    return {name_of(node) for node in scheduler.feasible(cluster, pod, profile)}


def best(cluster: Cluster, pod: Doc, profile: Profile = DEFAULT) -> set[str]:
    """Where the pod should go: all nodes that share the highest score."""
    return scheduler.best(cluster, pod, profile)


def refusal(cluster: Cluster, pod: Doc, profile: Profile = DEFAULT) -> str:
    assert not scheduler.best(cluster, pod, profile)
    return scheduler.refusal(cluster, pod, profile)
