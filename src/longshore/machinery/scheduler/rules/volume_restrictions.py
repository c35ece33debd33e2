"""VolumeRestrictions: a claim of mode ReadWriteOncePod has one pod
(pkg/scheduler/framework/plugins/volumerestrictions)."""

from __future__ import annotations

from collections.abc import Iterator

from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.profile import Profile
from longshore.machinery.scheduler.rules.objection import Objection
from longshore.machinery.scheduler.view.view import ClusterView

TAKEN = (
    "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already "
    "in-use by another pod"
)


def filter(view: ClusterView, pod_class: PodClass, profile: Profile) -> Iterator[Objection]:
    for key in alone(view, pod_class):
        if key in view.volumes.users:
            yield Objection(view.alive, TAKEN, resolvable=True)


def alone(view: ClusterView, pod_class: PodClass) -> Iterator[str]:
    """The claims of a pod that only one pod at a time may use."""
    for one in pod_class.claims:
        claim = view.volumes.claims.get(one.key)
        if claim is not None and claim.alone:
            yield one.key
