"""Choose nodes for pods of one class. Pure: a view and a class in, rows out; run.py binds.

Filters and scores are those of the default kube-scheduler: resources, node name, selector and
affinity, taints, cordons, host ports; LeastAllocated + BalancedAllocation + 2 x spread + 2 x
preferred node affinity + 3 x preferred taints, each of 0 to 100. Few pods are placed one after the
other, exactly; many at once by taking the best of all nodes' next places (see batch.py).
"""

from __future__ import annotations

from longshore.machinery.scheduler import batch, exact
from longshore.machinery.scheduler.candidates import candidates, room
from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.suitability import Memo
from longshore.machinery.scheduler.view.columns import Rows
from longshore.machinery.scheduler.view.view import ClusterView

# Up to this many pods of a class are placed one at a time (measured: beyond it batches win).
EXACT_MAX = 16


def place(view: ClusterView, pod_class: PodClass, count: int, memo: Memo) -> list[int]:
    """Rows for up to count pods, one entry a pod; fewer if there is no more room."""
    if pod_class.refusal:
        return []
    nodes = candidates(view, pod_class, memo)
    if not len(nodes.rows):
        return []
    chosen = (
        exact.few(nodes, pod_class, count)
        if count <= EXACT_MAX
        else batch.many(nodes, pod_class, count)
    )
    rows: list[int] = nodes.rows[chosen].tolist()
    return rows


def room_on(view: ClusterView, pod_class: PodClass, rows: Rows, memo: Memo) -> int:
    """How many pods of a class would fit on some rows together."""
    if pod_class.refusal:
        return 0
    fits = memo.of(view, pod_class.demand).fits[rows]
    return int((fits * room(view, pod_class)[rows]).sum())
