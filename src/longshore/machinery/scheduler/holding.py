"""Pods that may not have a node yet, and what stands on nodes without being a pod. No I/O.

A pod waits here as long as its group is not complete, or its queue has not admitted it; of a pod that
belongs to both, the group is admitted as a whole. Offers hold room for other schedulers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.offers import Amounts
from longshore.core.objects.pod_requests import requests_of
from longshore.core.watch.frames import Frame
from longshore.machinery.scheduler.gangs.groups import Group, Groups, group_name
from longshore.machinery.scheduler.offers.held import HeldOffers, Standing
from longshore.machinery.scheduler.pool import Pending
from longshore.machinery.scheduler.queues.book import Decided, Queues
from longshore.machinery.scheduler.queues.quota import Cohort
from longshore.machinery.scheduler.queues.settings import Local, queue_name

HEARD: tuple[Kind, ...] = (kinds.POD_GROUP, kinds.CLUSTER_QUEUE, kinds.LOCAL_QUEUE)


class Holding:
    """labels_of tells a namespace's labels."""

    def __init__(self, labels_of: Callable[[str], Mapping[str, str]]) -> None:
        self.groups = Groups()
        self.queues = Queues(labels_of)
        self.offers = HeldOffers()
        # Pods that anything here knows: most pods belong to no group, queue or offer.
        self._known: set[str] = set()
        self._local_of: dict[str, Local] = {}
        self._told: list[tuple[Pending, str]] = []

    def hear(self, event: Frame) -> None:
        """Take a change in of one of the kinds HEARD."""
        gone = event.type == "DELETED"
        if event.kind is kinds.POD_GROUP:
            self.groups.hear(event.doc, gone=gone)
        elif event.kind is kinds.CLUSTER_QUEUE:
            self.queues.hear_queue(event.doc, gone=gone)
        else:
            self.queues.hear_local(event.doc, gone=gone)

    def get(self, uid: str) -> Pending | None:
        """A pod that waits here."""
        if uid not in self._known:
            return None
        return self.groups.get(uid) or self.queues.get(uid)

    @property
    def count(self) -> int:
        """How many pods wait here; a group that waits for a queue is one."""
        queued = sum(tally.pending for tally in self.queues.tallies.values())
        return queued + sum(self.queues.get(uid) is None for uid in self.groups.waiting())

    def enter(self, pending: Pending, pod: Doc) -> bool:
        """A pod without a node has come; whether it has to wait here."""
        group, queue = group_name(pod), queue_name(pod)
        if not (group or queue):
            return False
        self._known.add(pending.uid)
        if queue:
            self._local_of[pending.uid] = Local(pending.namespace, queue)
        if group:
            why = self.groups.add(pending, group)
            if why:
                self._told.append((pending, why))
        else:
            self._queue({pending.uid: pending})
        return True

    def enter_again(self, pending: Pending, local: Local) -> None:
        """An admitted pod without a node gives its quota back, and waits anew: with its group, if it
        belongs to one."""
        self.queues.forget(pending.uid)
        group = self.groups.of(pending.uid)
        if group is not None:
            self.groups.wake(group)
            return
        self._known.add(pending.uid)
        self._local_of[pending.uid] = local
        self._queue({pending.uid: pending})

    def place(self, uid: str, pod: Doc) -> None:
        """A pod has a node."""
        group, queue = group_name(pod), queue_name(pod)
        if not (group or queue):
            return
        self._known.add(uid)
        if group:
            self.groups.place(uid, pod["metadata"]["namespace"], group)
        if queue and not self.queues.is_admitted(uid):
            metadata = pod["metadata"]
            local = Local(metadata["namespace"], queue)
            amounts = {"pods": 1, **requests_of(pod["spec"])}
            self.queues.place(uid, metadata["name"], local, amounts)

    def succeed(self, uid: str, pod: Doc) -> None:
        """A pod has done its work: it counts for its group as long as it is there, so that one of the
        others can still be made anew."""
        if group := group_name(pod):
            self._known.add(uid)
            self.groups.place(uid, pod["metadata"]["namespace"], group)

    def took(self, uid: str, pod: Doc) -> Standing | None:
        """A pod of another scheduler has a node; how the offer stands that it is of."""
        self._known.add(uid)
        return self.offers.took(uid, pod)

    def forget(self, uid: str) -> Standing | None:
        """A pod is gone, or over; how an offer stands that has its own back."""
        if uid not in self._known:
            return None
        self._known.remove(uid)
        self.groups.forget(uid)
        self.queues.forget(uid)
        self._local_of.pop(uid, None)
        return self.offers.ended(uid)

    def told(self) -> list[tuple[Pending, str]]:
        """Why pods wait that have come since this was last asked."""
        told, self._told = self._told, []
        return told

    def has_work(self) -> bool:
        return bool(self._told or self.groups.has_changed or self.queues.has_work())

    def decide(self, cohort: Cohort, most: int) -> Decided:
        """Let the queues of a cohort admit; only pods that stand alone are told as admitted."""
        decided = self.queues.decide(cohort, most)
        alone = []
        for pod in decided.admitted:
            group = self.groups.of(pod.uid)
            if group is None:
                alone.append(pod)
            else:
                self.groups.wake(group)
        decided.admitted[:] = alone
        return decided

    def admitted(self, group: Group) -> list[Pending]:
        """The pods of a group without a node that no queue holds back. Those that have yet to be
        admitted begin to wait for that."""
        new: dict[Local, dict[str, Pending]] = {}
        for uid, pod in group.waiting.items():
            local = self._local_of.get(uid)
            if local is not None and uid not in self.queues:
                new.setdefault(local, {})[uid] = pod
        for pods in new.values():
            self._queue(pods)
        return [
            pod
            for uid, pod in group.waiting.items()
            if uid not in self._local_of or self.queues.is_admitted(uid)
        ]

    def _queue(self, pods: Mapping[str, Pending]) -> None:
        local = self._local_of[next(iter(pods))]
        of: dict[str, Amounts] = {
            uid: {"pods": 1, **pod.pod_class.requests} for uid, pod in pods.items()
        }
        self.queues.enter(pods, local, of)
