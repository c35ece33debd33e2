"""Which of those who wait could go where room was gained. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from longshore.machinery.scheduler import plan
from longshore.machinery.scheduler.exact import fits
from longshore.machinery.scheduler.hints import Changes
from longshore.machinery.scheduler.memo import Memo
from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.pool import Pending
from longshore.machinery.scheduler.view.columns import Rows
from longshore.machinery.scheduler.view.view import ClusterView


def has_company(pod_class: PodClass) -> bool:
    """Whether one such pod may change where the next can be, beyond room."""
    company = pod_class.affinity or pod_class.spread or pod_class.siblings
    return bool(company or pod_class.singly)


def room_for(
    view: ClusterView, memo: Memo, changes: Changes, pod_class: PodClass, rows: Rows
) -> int:
    """For how many parked pods of a class there may be room on some rows, or on all of them if what
    changed concerns others too. Of those that keep one another away, one for each row."""
    follows = bool(memo.profile.affinity_labels and changes.left)
    if follows or changes.concern(view, pod_class):
        rows = np.arange(view.size)
    if not len(rows) or pod_class.refusal:
        return 0
    if has_company(pod_class):
        return int(fits(view, pod_class, memo)[rows].sum())
    return plan.room_on(view, pod_class, rows, memo)


def fitting_there(
    view: ClusterView, memo: Memo, pods: Sequence[Pending], node_of: Mapping[str, str]
) -> dict[int, Pending]:
    """Of pods of one class for which nodes were kept, one for each such row that has room by now; one
    alone where it changes where others can be."""
    wanted: dict[int, Pending] = {}
    for pod in pods:
        row = view.rows.get(node_of[pod.uid])
        if row is not None:
            wanted.setdefault(row, pod)
    if not wanted:
        return wanted
    room = fits(view, pods[0].pod_class, memo)
    fitting = {row: pod for row, pod in wanted.items() if room[row]}
    return dict(list(fitting.items())[:1]) if has_company(pods[0].pod_class) else fitting
