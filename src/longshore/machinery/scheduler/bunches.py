"""Single pods of different classes that no rule tells apart: placed together, as if they were one class.

A hundred Deployments of one replica each and of one size are a hundred classes, for they have labels
and controllers of their own; as long as no other pod matters to them, only their size does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.profile import Profile
from longshore.machinery.scheduler.rules import pod_topology_spread
from longshore.machinery.scheduler.view.view import ClusterView

T = TypeVar("T")
Bunch = tuple[PodClass, list[tuple[PodClass, T]]]
"""What to place them as, and the pods with their true classes."""


def bunched(
    view: ClusterView, wanted: Mapping[PodClass, Sequence[T]], profile: Profile
) -> list[Bunch[T]]:
    """Pods by class, in the order in which their bunches first appear."""
    found: dict[Hashable, list[tuple[PodClass, T]]] = {}
    owners = Counter(one.kin.owner for one in wanted)
    talkative = any(one.affinity is not None for one in wanted)
    for pod_class, pods in wanted.items():
        key: Hashable = pod_class
        alone = len(pods) == 1 and (not pod_class.kin.owner or owners[pod_class.kin.owner] == 1)
        if alone and not talkative:
            key = _what_matters(view, pod_class, profile) or pod_class
        found.setdefault(key, []).extend((pod_class, pod) for pod in pods)
    return [(_likeness(members), members) for members in found.values()]


def _likeness(members: Sequence[tuple[PodClass, T]]) -> PodClass:
    first, last = members[0][0], members[-1][0]
    return first if first is last else replace(first, peers=None)


def _what_matters(view: ClusterView, pod_class: PodClass, profile: Profile) -> Hashable:
    """All that rules look at in a pod if other pods do not matter to it; None if they may."""
    own = (
        pod_class.refusal, pod_class.affinity, pod_class.spread, pod_class.siblings,
        pod_class.constraints, pod_class.ports, pod_class.claims, pod_class.dynamic,
        pod_class.devices,
    )  # fmt: skip
    if any(own) or profile.affinity_labels or profile.anti_affinity_labels:
        return None
    if view.tallies.concerning(pod_class.kin):
        return None
    if pod_class.peers is not None and not pod_topology_spread.says_nothing(
        view, pod_class, profile.spreading
    ):
        return None
    return pod_class.demand, pod_class.load, pod_class.images
