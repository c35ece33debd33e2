"""NodeVolumeLimits: no more volumes of a CSI driver than its CSINode says
(pkg/scheduler/framework/plugins/nodevolumelimits)."""

from __future__ import annotations

from collections.abc import Iterator

from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.profile import Profile
from longshore.machinery.scheduler.rules.objection import Objection
from longshore.machinery.scheduler.view.view import ClusterView

TOO_MANY = "node(s) exceed max volume count"


def filter(view: ClusterView, pod_class: PodClass, profile: Profile) -> Iterator[Objection]:
    attachments = view.volumes.attachments
    for driver, keys in by_driver(view, pod_class).items():
        missing = attachments.missing(driver)
        if missing is not None:
            why = f"{driver} CSI driver is not installed on the node"
            yield Objection(missing, why, resolvable=False)
        over = attachments.over(driver, keys)
        if over is not None:
            yield Objection(over, TOO_MANY, resolvable=True)


def by_driver(view: ClusterView, pod_class: PodClass) -> dict[str, list[str]]:
    """The claims of a pod, by the CSI driver of their volumes."""
    found: dict[str, list[str]] = {}
    for one in pod_class.claims:
        if driver := view.volumes.driver_of(one.key):
            found.setdefault(driver, []).append(one.key)
    return found
