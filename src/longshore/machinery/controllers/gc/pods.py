"""Collect pods that nobody else will: those of nodes that are gone, those that were told to go before
they had a node and are still held by a finalizer, and too many finished ones.

Rules: upstream's pkg/controller/podgc. A node must be gone for a while before its pods are: it may
only have been registered anew.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from longshore.base.clock import Clock
from longshore.core.objects import kinds
from longshore.core.objects.errors import NotFound
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.client import Client, Delete, DeleteOptions
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.machinery.controllers.common import pods as pod_state
from longshore.machinery.controllers.common.answers import raise_first
from longshore.machinery.controllers.common.disrupting import lost
from longshore.machinery.loop.answers import DONE, Answer, WakeAfter

# The keys under which finished pods are counted, and those that end without a node; no node can have
# these names.
FINISHED, NOWHERE = "/finished", "/nowhere"

Place: TypeAlias = tuple[str, str]
"""A pod's namespace and name."""


class Finished:
    """Places of finished pods, by age."""

    def __init__(self) -> None:
        self._created: dict[Place, str] = {}
        self._by_age: list[tuple[str, Place]] = []

    def __len__(self) -> int:
        return len(self._by_age)

    def note(self, place: Place, created: str) -> None:
        """It has finished; created is its creationTimestamp."""
        if self._created.get(place) != created:
            self.forget(place)
            self._created[place] = created
            insort(self._by_age, (created, place))

    def forget(self, place: Place) -> None:
        """It is gone, or another is there."""
        created = self._created.pop(place, None)
        if created is not None:
            del self._by_age[bisect_left(self._by_age, (created, place))]

    def oldest(self, count: int) -> list[Place]:
        return [place for _, place in self._by_age[: max(0, count)]]


class PodCollector:
    """The reconciler; its keys are names of nodes, FINISHED and NOWHERE."""

    name = "pod-gc"
    watches: tuple[Kind, ...] = (kinds.NODE, kinds.POD)

    def __init__(
        self, cache: Cache, client: Client, clock: Clock, finished_max: int, node_gone_s: float
    ) -> None:
        self._cache = cache
        self._client = client
        self._clock = clock
        self._finished_max = finished_max
        self._node_gone_s = node_gone_s
        self._finished = Finished()
        self._nowhere: set[Place] = set()
        self._missing_since: dict[str, float] = {}

    def keys(self, event: Frame) -> Iterable[str]:
        if event.kind is kinds.NODE:
            return (event.stored.name,) if event.type != "MODIFIED" else ()
        where = (event.stored.namespace, event.stored.name)
        self._nowhere.discard(where)
        if event.type != "DELETED" and pod_state.is_terminal(event.doc):
            self._finished.note(where, event.doc["metadata"]["creationTimestamp"])
            return (FINISHED,) if len(self._finished) > self._finished_max else ()
        self._finished.forget(where)
        node = pod_state.node_name(event.doc)
        if "deletionTimestamp" in event.doc["metadata"] and event.type != "DELETED" and not node:
            self._nowhere.add(where)
            return (NOWHERE,)
        node = node if event.type == "ADDED" else ""
        return (node,) if node and self._cache.get(kinds.NODE, "", node) is None else ()

    async def reconcile(self, key: str) -> Answer:
        if key == FINISHED:
            return await self._collect_finished()
        if key == NOWHERE:
            return await self._end_nowhere()
        if self._cache.get(kinds.NODE, "", key) is not None:
            self._missing_since.pop(key, None)
            return DONE
        pods = self._cache.indexed(kinds.POD, "node", key)
        if not pods:
            self._missing_since.pop(key, None)
            return DONE
        now = self._clock.monotonic()
        left = self._missing_since.setdefault(key, now) + self._node_gone_s - now
        if left > 0:
            return WakeAfter(left)
        await self._mark_lost(pods)
        await self._delete(pods)
        return DONE

    async def _end_nowhere(self) -> Answer:
        """Who has no node has nobody who could say that it is over."""
        found = (self._cache.get(kinds.POD, *where) for where in self._nowhere)
        pods = [pod for pod in found if pod is not None and not pod_state.node_name(pod)]
        await self._mark_lost(pod for pod in pods if "deletionTimestamp" in pod["metadata"])
        return DONE

    async def _mark_lost(self, pods: Iterable[Doc]) -> None:
        now = self._clock.now()
        work = [lost(pod, now) for pod in pods if not pod_state.is_terminal(pod)]
        answers = await self._client.submit(work)
        raise_first(None if isinstance(answer, NotFound) else answer for answer in answers)

    async def _collect_finished(self) -> Answer:
        surplus = self._finished.oldest(len(self._finished) - self._finished_max)
        found = (self._cache.get(kinds.POD, *where) for where in surplus)
        await self._delete([p for p in found if p is not None and pod_state.is_terminal(p)])
        return DONE

    async def _delete(self, pods: Sequence[Doc]) -> None:
        """At once: there is no agent that could end them in order."""
        work = [
            Delete(
                kinds.POD,
                pod["metadata"]["namespace"],
                pod["metadata"]["name"],
                DeleteOptions(grace_s=0, uid=pod["metadata"]["uid"]),
            )
            for pod in pods
        ]
        answers = await self._client.submit(work)
        raise_first(None if isinstance(answer, NotFound) else answer for answer in answers)
