"""NodeVolumeLimits: no more volumes of a CSI driver than its CSINode says
(pkg/scheduler/framework/plugins/nodevolumelimits)."""

from __future__ import annotations

from collections.abc import Iterator

from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.profile import Profile
from longshore.machinery.scheduler.rules.objection import Objection
from longshore.machinery.scheduler.view.view import ClusterView

_TOO_MANY = "node(s) exceed max volume count"


def filter(view: ClusterView, pod_class: PodClass, profile: Profile) -> Iterator[Objection]:
    volumes = view.volumes
    by_driver: dict[str, list[str]] = {}
    for one in pod_class.claims:
        if driver := volumes.driver_of(one.key):
            by_driver.setdefault(driver, []).append(one.key)
    for driver, keys in by_driver.items():
        missing = volumes.attachments.missing(driver)
        if missing is not None:
            why = f"{driver} CSI driver is not installed on the node"
            yield Objection(missing, why, resolvable=True)
        over = volumes.attachments.over(driver, keys)
        if over is not None:
            yield Objection(over, _TOO_MANY, resolvable=True)
