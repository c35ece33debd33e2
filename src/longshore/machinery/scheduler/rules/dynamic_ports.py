"""DynamicPorts: ports of the host that are chosen with the node; none of upstream's rules
(docs/scheduler.md)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.profile import Profile
from longshore.machinery.scheduler.rules.objection import Objection
from longshore.machinery.scheduler.view.view import ClusterView

REASON = "node(s) didn't have enough free dynamic ports"


def filter(view: ClusterView, pod_class: PodClass, profile: Profile) -> Iterator[Objection]:
    if not pod_class.dynamic:
        return
    full = view.ports.crowded(len(pod_class.dynamic))
    if full:
        rows = np.zeros(view.size, np.bool_)
        rows[full] = True
        yield Objection(rows, REASON, resolvable=True)
