"""Pods that wait for a node, in lots that are placed together, and whose turn it is. Pure.

A priority's pods wait in flows: those of one controller are one flow, as are bare pods that are
alike. Flows are served by turns (deficit round robin without weights), so that one pod is not stuck
behind a hundred thousand others of its priority; within a flow the earlier comes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias, TypeVar

from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler.pods.podclass import PodClass

# Flows of so many pods are small; so many of the flows that came last are looked at.
FEW, NEWEST = 4, 16
K = TypeVar("K")
Lot: TypeAlias = tuple[int, PodClass, str]
"""Pods that are placed together: of one priority, class and profile."""
Flow: TypeAlias = str | PodClass
"""Pods that share their turns: a controller's uid, or a class of bare pods."""


@dataclass(frozen=True, slots=True, eq=False)
class Pending:
    """A pod without a node. about is enough of it to tell Events of; order is its arrival; profile
    is the name of its scheduler; preempts says whether others may have to make room for it;
    generation is metadata.generation; annotations are given to it with its binding."""

    uid: str
    namespace: str
    name: str
    about: Doc
    priority: int
    pod_class: PodClass
    order: int
    profile: str = "default-scheduler"
    preempts: bool = True
    generation: int = 0
    annotations: Mapping[str, str] | None = None

    @property
    def lot(self) -> Lot:
        return self.priority, self.pod_class, self.profile


def pending_of(pod: Doc, pod_class: PodClass, order: int) -> Pending:
    """A pod as it waits."""
    metadata, spec = pod["metadata"], pod["spec"]
    about = {
        "namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"],
        "resourceVersion": metadata["resourceVersion"],
    }  # fmt: skip
    return Pending(
        uid=metadata["uid"],
        namespace=metadata["namespace"],
        name=metadata["name"],
        about={"apiVersion": "v1", "kind": "Pod", "metadata": about},
        priority=int(spec.get("priority") or 0),
        pod_class=pod_class,
        order=order,
        profile=spec.get("schedulerName", "default-scheduler"),
        preempts=spec.get("preemptionPolicy") != "Never",
        generation=metadata.get("generation", 0),
    )


def flow_of(pod: Pending) -> Flow:
    return pod.pod_class.kin.owner or pod.pod_class


class Pool:
    """Pending pods in lots, each in the order of arrival."""

    def __init__(self) -> None:
        self._lots: dict[Lot, dict[str, Pending]] = {}
        self._lot_of: dict[str, Lot] = {}

    def __len__(self) -> int:
        return len(self._lot_of)

    def has(self, lot: Lot) -> bool:
        return lot in self._lots

    def get(self, uid: str) -> Pending | None:
        lot = self._lot_of.get(uid)
        return None if lot is None else self._lots[lot][uid]

    def add(self, pod: Pending) -> None:
        lot = pod.lot
        self._lots.setdefault(lot, {})[pod.uid] = pod
        self._lot_of[pod.uid] = lot

    def add_all(self, pods: Iterable[Pending]) -> None:
        for pod in pods:
            self.add(pod)

    def pop(self, uid: str) -> Pending | None:
        lot = self._lot_of.pop(uid, None)
        if lot is None:
            return None
        pods = self._lots[lot]
        pod = pods.pop(uid)
        if not pods:
            del self._lots[lot]
        return pod

    def lots(self) -> list[Lot]:
        """The most urgent first, then the one that waits longest."""
        return sorted(self._lots, key=lambda lot: (-lot[0], self._first(lot).order))

    def take(self, lot: Lot, count: int) -> list[Pending]:
        pods = self._lots[lot]
        taken = list(pods.values())[:count]
        for pod in taken:
            self.pop(pod.uid)
        return taken

    def _first(self, lot: Lot) -> Pending:
        return next(iter(self._lots[lot].values()))


class Line:
    """Pods whose turn comes: all of a higher priority first, then flow by flow."""

    def __init__(self) -> None:
        self._where: dict[str, tuple[int, Flow]] = {}
        # By priority: the flows in the order of their turns, each with its pods.
        self._flows: dict[int, dict[Flow, dict[str, Pending]]] = {}

    def __len__(self) -> int:
        return len(self._where)

    def get(self, uid: str) -> Pending | None:
        where = self._where.get(uid)
        return None if where is None else self._flows[where[0]][where[1]][uid]

    def add(self, pod: Pending) -> None:
        flow = flow_of(pod)
        self._where[pod.uid] = (pod.priority, flow)
        self._flows.setdefault(pod.priority, {}).setdefault(flow, {})[pod.uid] = pod

    def add_all(self, pods: Iterable[Pending]) -> None:
        for pod in pods:
            self.add(pod)

    def pop(self, uid: str) -> Pending | None:
        where = self._where.pop(uid, None)
        if where is None:
            return None
        flows = self._flows[where[0]]
        pods = flows[where[1]]
        pod = pods.pop(uid)
        if not pods:
            del flows[where[1]]
            if not flows:
                del self._flows[where[0]]
        return pod

    def serve(self, most: int) -> dict[Lot, list[Pending]]:
        """Take up to so many pods whose turn it is, by lots, the most urgent lots first."""
        served: dict[Lot, list[Pending]] = {}
        for priority in sorted(self._flows, reverse=True):
            for pod in self._serve_priority(priority, most):
                served.setdefault(pod.lot, []).append(pod)
                most -= 1
            if not most:
                break
        return served

    def serve_few(self) -> dict[Lot, list[Pending]]:
        """Take what there is of the most urgent pods in flows that came lately and are small: who
        waits for few pods need not wait until a crowd's last turn is over."""
        served: dict[Lot, list[Pending]] = {}
        flows = self._flows[priority := max(self._flows)] if self._flows else {}
        for flow in _first(reversed(flows), NEWEST):
            if len(flows[flow]) <= FEW:
                for pod in self._serve_flow(priority, flow, FEW):
                    served.setdefault(pod.lot, []).append(pod)
        return served

    def _serve_priority(self, priority: int, most: int) -> list[Pending]:
        taken: list[Pending] = []
        while len(taken) < most and priority in self._flows:
            flows = self._flows[priority]
            share = max(1, (most - len(taken)) // len(flows))
            for flow in _first(flows, most - len(taken)):
                taken += self._serve_flow(priority, flow, min(share, most - len(taken)))
        return taken

    def _serve_flow(self, priority: int, flow: Flow, count: int) -> list[Pending]:
        """Take from the head of a flow; what is left of it has its next turn after the others."""
        flows = self._flows[priority]
        pods = flows.pop(flow)
        taken = [pods.pop(uid) for uid in _first(pods, count)]
        for pod in taken:
            del self._where[pod.uid]
        if pods:
            flows[flow] = pods
        elif not flows:
            del self._flows[priority]
        return taken


def _first(keys: Iterable[K], count: int) -> list[K]:
    return list(islice(keys, count))
