"""VolumeZone: a node with a zone or region is in that of the pod's volumes
(pkg/scheduler/framework/plugins/volumezone)."""

from __future__ import annotations

from collections.abc import Iterator

from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.profile import Profile
from longshore.machinery.scheduler.rules.objection import Objection
from longshore.machinery.scheduler.view.view import ClusterView

_OUTSIDE = "node(s) had no available volume zone"


def filter(view: ClusterView, pod_class: PodClass, profile: Profile) -> Iterator[Objection]:
    for one in pod_class.claims:
        claim = view.volumes.claims.get(one.key)
        outside = view.volumes.outside_zones(claim.volume) if claim and claim.volume else None
        if outside is not None:
            yield Objection(outside, _OUTSIDE, resolvable=False)
