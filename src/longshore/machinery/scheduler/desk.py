"""The scheduler's desk: what waits, what is parked, and one turn of work at a time. No I/O.

hear() takes changes in, turn() decides. Pods are counted in groups of one priority and one class;
those that no node takes are parked until a change makes room on a row that suits them, so nothing
is asked again and again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.watch.frames import Frame
from longshore.machinery.scheduler import plan
from longshore.machinery.scheduler.explain import explain
from longshore.machinery.scheduler.memo import Memo
from longshore.machinery.scheduler.pods.podclass import PodClass, PodClasses
from longshore.machinery.scheduler.view.view import ClusterView

SCHEDULER_NAME = "default-scheduler"
# Pods decided on in one turn: more would keep the other loops waiting.
TURN_MAX = 5000


@dataclass(frozen=True, slots=True, eq=False)
class Pending:
    """A pod without a node. about is enough of it to tell Events of; order is its arrival."""

    uid: str
    namespace: str
    name: str
    about: Doc
    priority: int
    pod_class: PodClass
    order: int


Lot = tuple[int, PodClass]
"""Pods that are placed together: one priority, one class."""


class Pool:
    """Pending pods in lots, each in the order of arrival."""

    def __init__(self) -> None:
        self._lots: dict[Lot, dict[str, Pending]] = {}
        self._lot_of: dict[str, Lot] = {}

    def __len__(self) -> int:
        return len(self._lot_of)

    def __contains__(self, uid: str) -> bool:
        return uid in self._lot_of

    def get(self, uid: str) -> Pending | None:
        lot = self._lot_of.get(uid)
        return None if lot is None else self._lots[lot][uid]

    def add(self, pod: Pending) -> None:
        lot = (pod.priority, pod.pod_class)
        self._lots.setdefault(lot, {})[pod.uid] = pod
        self._lot_of[pod.uid] = lot

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


@dataclass(frozen=True, slots=True)
class Turn:
    """What was decided: pods with their nodes, and pods that no node takes with the reason why."""

    bound: list[tuple[Pending, str]]
    refused: list[tuple[Pending, str]]


class Desk:
    def __init__(self) -> None:
        self.view = ClusterView()
        self.waiting = Pool()
        self.parked = Pool()
        self._classes = PodClasses()
        self._memo = Memo()
        self._roomier: set[int] = set()
        self._arrivals = 0

    def hear(self, event: Frame) -> None:
        """Take one change in."""
        if event.kind is kinds.NODE:
            self._hear_node(event)
        elif event.type == "DELETED":
            self.forget(event.doc["metadata"]["uid"])
        else:
            self.see_pod(event.doc)

    def see_pod(self, pod: Doc) -> None:
        """Note a pod as it is now."""
        uid, spec = pod["metadata"]["uid"], pod["spec"]
        if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
            self.forget(uid)
        elif node := spec.get("nodeName"):
            self.waiting.pop(uid)
            self.parked.pop(uid)
            self._gained(self.view.put_pod(uid, node, self._classes.of(pod)))
        elif "deletionTimestamp" in pod["metadata"] or spec.get("schedulingGates"):
            self.forget(uid)
        elif spec.get("schedulerName", SCHEDULER_NAME) == SCHEDULER_NAME:
            self._see_pending(uid, pod)

    def forget(self, uid: str) -> None:
        """The pod is gone, finished, or not to be placed: what it took is free."""
        self.waiting.pop(uid)
        self.parked.pop(uid)
        self._gained(self.view.drop_pod(uid))

    def has_work(self) -> bool:
        self._unpark()
        return len(self.waiting) > 0

    def turn(self) -> Turn:
        """Decide about what waits, most urgent first, and take the room in the view."""
        self._unpark()
        turn = Turn([], [])
        for lot in self.waiting.lots():
            self._place(lot, TURN_MAX - len(turn.bound) - len(turn.refused), turn)
            if len(turn.bound) + len(turn.refused) >= TURN_MAX:
                break
        return turn

    def _place(self, lot: Lot, most: int, turn: Turn) -> None:
        pods, pod_class = self.waiting.take(lot, most), lot[1]
        rows = plan.place(self.view, pod_class, len(pods), self._memo)
        placed, left = pods[: len(rows)], pods[len(rows) :]
        self.view.put_pods([pod.uid for pod in placed], rows, pod_class)
        turn.bound.extend((p, self.view.names[row]) for p, row in zip(placed, rows, strict=True))
        if left:
            message = explain(self.view, pod_class)
            turn.refused.extend((pod, message) for pod in left)
            for pod in left:
                self.parked.add(pod)

    def _hear_node(self, event: Frame) -> None:
        if event.type == "DELETED":
            self.view.drop_node(event.doc["metadata"]["name"])
        else:
            self._gained(self.view.put_node(event.doc))

    def _see_pending(self, uid: str, pod: Doc) -> None:
        pod_class, priority = self._classes.of(pod), int(pod["spec"].get("priority") or 0)
        known = self.waiting.get(uid) or self.parked.get(uid)
        if known is not None and (known.pod_class, known.priority) == (pod_class, priority):
            return
        if self.view.node_of(uid):
            return  # assumed: the news is older than our own binding, which is on its way
        self.forget(uid)
        self._arrivals += 1
        metadata = pod["metadata"]
        about = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                field: metadata[field] for field in ("namespace", "name", "uid", "resourceVersion")
            },
        }
        self.waiting.add(
            Pending(
                uid,
                metadata["namespace"],
                metadata["name"],
                about,
                priority,
                pod_class,
                self._arrivals,
            )
        )

    def _gained(self, row: int | None) -> None:
        if row is not None:
            self._roomier.add(row)

    def _unpark(self) -> None:
        """Let those wait again whom rows that gained room would take; no more than fit there."""
        if self._roomier and len(self.parked):
            rows = np.fromiter(self._roomier, np.intp)
            for lot in self.parked.lots():
                count = plan.room_on(self.view, lot[1], rows, self._memo)
                for pod in self.parked.take(lot, count) if count else ():
                    self.waiting.add(pod)
        self._roomier.clear()


def unbound(desk: Desk, pods: Iterable[tuple[Pending, Doc | None]]) -> None:
    """Take assumptions back after bindings failed; each with the pod as it is now, if it is."""
    for pod, now in pods:
        desk.forget(pod.uid)
        if now is not None and now["metadata"]["uid"] == pod.uid:
            desk.see_pod(now)
