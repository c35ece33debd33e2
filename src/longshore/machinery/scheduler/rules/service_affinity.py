"""ServiceAffinity: the pods of one Service in one region, and spread over its zones, as Atomic
Enterprise and early Kubernetes had it.

Source: pkg/scheduler/framework/plugins/serviceaffinity of Kubernetes 1.22 (the last that had it).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from longshore.core.objects.selectors import Requirement
from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.profile import Profile
from longshore.machinery.scheduler.rules.objection import Objection
from longshore.machinery.scheduler.view.columns import Mask, Scores
from longshore.machinery.scheduler.view.view import ClusterView

REASON = "node(s) didn't match service affinity"


def filter(view: ClusterView, pod_class: PodClass, profile: Profile) -> Iterator[Objection]:
    """A pod goes where the labels of these names are as its own selector wants them; what that does
    not say is as on the node of another pod like it. The first pod of a Service is free."""
    if not profile.affinity_labels:
        return
    wanted = {
        one.key: one.values[0]
        for one in pod_class.demand.selector
        if one.key in profile.affinity_labels
    }
    if len(wanted) < len(profile.affinity_labels):
        wanted = {**_as_others(view, pod_class, profile.affinity_labels), **wanted}
    terms = tuple(Requirement(key, "in", (value,)) for key, value in wanted.items())
    if terms:
        yield Objection(view.alive & ~view.matching(terms), REASON, resolvable=True)


def _as_others(view: ClusterView, pod_class: PodClass, names: tuple[str, ...]) -> dict[str, str]:
    """What these labels are where a pod is that has all of the pod's labels, if a Service selects
    it; of several pods the one on the first row."""
    if view.services.first_of(pod_class.kin) is None:
        return {}
    rows = view.counts(view.services.alike(pod_class.kin)).rows
    if not rows:
        return {}
    labels = view.labels_of(min(rows))
    return {name: labels[name] for name in names if name in labels}


def score(view: ClusterView, pod_class: PodClass, among: Mask, profile: Profile) -> Scores | None:
    """ServiceAntiAffinity: for each label, how few of the Service's pods share the node's value;
    nodes without the label get nothing."""
    names = profile.anti_affinity_labels
    service = view.services.first_of(pod_class.kin) if names else None
    if service is None:
        return None
    pods = view.column(view.counts(service))
    count, total = int(pods.sum()), np.zeros(view.size)
    for name in names:
        topology = view.topology(name)
        share = topology.shared(pods) / count if count else np.zeros(view.size)
        total += np.where(topology.inside, 100.0 * (1.0 - share), 0.0)
    scores: Scores = total / len(names)
    return scores
