"""NodeUnschedulable: cordoned nodes take only pods that tolerate it.

https://kubernetes.io/docs/concepts/architecture/nodes/#manual-node-administration
"""

from __future__ import annotations

from collections.abc import Iterator

from longshore.core.objects.taints import CORDON, tolerated
from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.profile import Profile
from longshore.machinery.scheduler.rules.objection import Objection
from longshore.machinery.scheduler.view.view import ClusterView

REASON = "node(s) were unschedulable"


def filter(view: ClusterView, pod_class: PodClass, profile: Profile) -> Iterator[Objection]:
    if not tolerated(CORDON, pod_class.demand.tolerations):
        yield Objection(view.cordoned, REASON, resolvable=False)
