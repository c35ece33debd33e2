"""Nodes that are kept for pods which wait for others to leave. Pure.

What is kept is counted in the view as if somebody were there, so that nobody else takes it, whatever
their priority, while there is room elsewhere. Only room is kept: who is not there yet is nobody's
company.
"""

from __future__ import annotations

from dataclasses import replace

from longshore.machinery.scheduler.pods.kin import Kin
from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.pool import Pending
from longshore.machinery.scheduler.preemption.roster import Resident, Roster
from longshore.machinery.scheduler.view.view import ClusterView

# In front of a pod's uid: the one who stands for it on the node.
_KEPT = "kept for "
_NOBODY = Kin("", {})


class Nominations:
    """Pods by uid with the nodes kept for them (status.nominatedNodeName)."""

    def __init__(self, view: ClusterView, roster: Roster) -> None:
        self._view = view
        self._roster = roster
        self._nodes: dict[str, str] = {}
        self._on: dict[str, dict[str, Pending]] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    def node_of(self, uid: str) -> str:
        """The node kept for a pod; empty if there is none."""
        return self._nodes.get(uid, "")

    def nodes(self) -> dict[str, str]:
        """All, by the uid for which each is kept."""
        return dict(self._nodes)

    def on(self, node: str) -> list[Pending]:
        return list(self._on.get(node, {}).values())

    def keep(self, pod: Pending, node: str) -> None:
        """Keep a node's room for a pod, instead of what was kept for it before."""
        self.release(pod.uid)
        self._nodes[pod.uid] = node
        self._on.setdefault(node, {})[pod.uid] = pod
        stand_in = _stand_in(pod.pod_class)
        self._view.put_pod(_KEPT + pod.uid, node, stand_in)
        resident = Resident(pod.namespace, pod.name, node, stand_in, pod.priority, free=True)
        self._roster.put(_KEPT + pod.uid, resident)

    def release(self, uid: str) -> int | None:
        """Keep nothing for a pod any more; the row that has room again, if there is one."""
        node = self._nodes.pop(uid, "")
        if not node:
            return None
        there = self._on[node]
        del there[uid]
        if not there:
            del self._on[node]
        self._roster.drop(_KEPT + uid)
        return self._view.drop_pod(_KEPT + uid)


def _stand_in(pod_class: PodClass) -> PodClass:
    return replace(pod_class, kin=_NOBODY, peers=None, affinity=None, spread=None, claims=())
