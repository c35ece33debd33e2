"""What queues are there: LocalQueues, ClusterQueues, and who may use them. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from longshore.core.objects.kinds import Doc
from longshore.core.objects.selectors import Selector, from_doc
from longshore.machinery.scheduler.queues.quota import Cohort, Share, share_of

LABEL = "kueue.x-k8s.io/queue-name"


class Local(NamedTuple):
    """Names a LocalQueue."""

    namespace: str
    name: str


class _ClusterQueue(NamedTuple):
    share: Share
    namespaces: Selector | None


def queue_name(pod: Doc) -> str:
    """The LocalQueue that a pod names; empty if none."""
    labels = pod["metadata"].get("labels")
    return labels.get(LABEL, "") if labels else ""


class Settings:
    """labels_of tells a namespace's labels."""

    def __init__(self, labels_of: Callable[[str], Mapping[str, str]]) -> None:
        self.locals: dict[Local, str] = {}
        self._queues: dict[str, _ClusterQueue] = {}
        self._labels_of = labels_of

    def put_local(self, queue: Doc, *, gone: bool) -> bool:
        """Note a LocalQueue as it is now; whether that is news."""
        metadata = queue["metadata"]
        local = Local(metadata["namespace"], metadata["name"])
        before = self.locals.pop(local, None)
        if not gone:
            self.locals[local] = queue["spec"]["clusterQueue"]
        return before != self.locals.get(local)

    def put_queue(self, queue: Doc, *, gone: bool) -> bool:
        """Note a ClusterQueue as it is now; whether that is news."""
        name = queue["metadata"]["name"]
        before = self._queues.pop(name, None)
        if not gone:
            selector = from_doc(queue["spec"].get("namespaceSelector"))
            self._queues[name] = _ClusterQueue(share_of(queue), selector)
        return before != self._queues.get(name)

    def share(self, queue: str) -> Share | None:
        found = self._queues.get(queue)
        return None if found is None else found.share

    def leads_to(self, local: Local) -> tuple[str, str]:
        """The ClusterQueue that pods of a LocalQueue wait in; else empty, and why there is none."""
        name = self.locals.get(local)
        if name is None:
            return "", f"LocalQueue {local.name} doesn't exist"
        queue = self._queues.get(name)
        if queue is None:
            return "", f"ClusterQueue {name} doesn't exist"
        selector = queue.namespaces
        if selector is None or not selector.matches(self._labels_of(local.namespace)):
            return "", "Workload namespace doesn't match ClusterQueue selector"
        return name, ""

    def cohorts(self) -> dict[str, Cohort]:
        """New cohorts of all ClusterQueues, by the name of each queue; nothing is used in them."""
        members: dict[str, list[Share]] = {}
        for queue in self._queues.values():
            members.setdefault(_cohort_key(queue.share), []).append(queue.share)
        made = [Cohort(shares) for shares in members.values()]
        return {name: cohort for cohort in made for name in cohort.shares}

    def locals_of(self, queue: str) -> Iterable[Local]:
        return [local for local, name in self.locals.items() if name == queue]

    @property
    def names(self) -> Iterable[str]:
        """Of all ClusterQueues."""
        return self._queues.keys()


def _cohort_key(share: Share) -> str:
    return f"cohort/{share.cohort}" if share.cohort else f"alone/{share.name}"
