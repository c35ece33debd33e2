"""What is asked of each node, and which pods wait for one: kept as pods change, so that a change costs
what it touches. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from longshore.core.objects.kinds import Doc
from longshore.core.objects.pod_requests import requests_of
from longshore.core.objects.resizing import accounted, settled_generation
from longshore.machinery.controllers.common.pods import condition, is_terminal, node_name
from longshore.machinery.controllers.nodegroups.drainable import is_daemon

Key = tuple[str, str]


class News(Enum):
    """What a change of a pod comes to."""

    NONE = 0
    LOAD = 1
    WAITS = 2


class _Placed(NamedTuple):
    """A pod on its node: what it asks for, and its generation if that follows from its spec alone."""

    node: str
    asked: Mapping[str, int]
    generation: int | None


class Book:
    """All pods that count, by uid."""

    def __init__(self, priority_cutoff: int) -> None:
        self._cutoff = priority_cutoff
        self._placed: dict[str, _Placed] = {}
        self._used: dict[str, Counter[str]] = {}
        self.waiting: dict[str, Key] = {}
        """Namespace and name of pods that the scheduler has refused."""

    def used(self, node: str) -> Mapping[str, int]:
        """What the pods of a node ask for, as pod_requests counts it."""
        return self._used.get(node, {})

    def hear(self, pod: Doc, *, gone: bool) -> News:
        """A pod as it is now."""
        uid, node = pod["metadata"]["uid"], node_name(pod)
        if gone or is_terminal(pod):
            return self._drop(uid)
        if node:
            return self._put(uid, node, pod)
        if not self._waits(pod):
            self.waiting.pop(uid, None)
            return News.NONE
        if uid in self.waiting:
            return News.NONE
        self.waiting[uid] = (pod["metadata"]["namespace"], pod["metadata"]["name"])
        return News.WAITS

    def _put(self, uid: str, node: str, pod: Doc) -> News:
        self.waiting.pop(uid, None)
        known, generation = self._placed.get(uid), settled_generation(pod)
        if known is not None and generation is not None and known.generation == generation:
            return News.NONE
        asked = requests_of(accounted(pod))
        if known is not None:
            if known.asked == asked:
                self._placed[uid] = known._replace(generation=generation)
                return News.NONE
            self._drop(uid)
        self._placed[uid] = _Placed(node, asked, generation)
        self._used.setdefault(node, Counter()).update(asked)
        return News.LOAD

    def _drop(self, uid: str) -> News:
        waited = self.waiting.pop(uid, None)
        placed = self._placed.pop(uid, None)
        if placed is not None:
            left = self._used[placed.node]
            left.subtract(placed.asked)
            if not any(left.values()):
                del self._used[placed.node]
        return News.NONE if waited is None and placed is None else News.LOAD

    def _waits(self, pod: Doc) -> bool:
        """Whether a new node could help it: the scheduler has refused it, and keeps no node for it."""
        told = condition(pod, "PodScheduled")
        return (
            told is not None
            and told.get("status") == "False"
            and told.get("reason") == "Unschedulable"
            and not pod["metadata"].get("deletionTimestamp")
            and not (pod.get("status") or {}).get("nominatedNodeName")
            and int(pod["spec"].get("priority") or 0) >= self._cutoff
            and not is_daemon(pod)
        )
