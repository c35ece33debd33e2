"""NodePorts: a port of the host is taken once.

https://kubernetes.io/docs/concepts/configuration/overview/#services
"""

from __future__ import annotations

from collections.abc import Iterator

from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.profile import Profile
from longshore.machinery.scheduler.rules.objection import Objection
from longshore.machinery.scheduler.view.view import ClusterView

REASON = "node(s) didn't have free ports for the requested pod ports"


def filter(view: ClusterView, pod_class: PodClass, profile: Profile) -> Iterator[Objection]:
    if pod_class.ports:
        yield Objection(view.ports_taken(pod_class.ports), REASON, resolvable=True)
