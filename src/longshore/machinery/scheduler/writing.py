"""Write what a turn decided: bindings, refusals, and who has to go; and tell people of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from longshore.base.clock import Clock, rfc3339
from longshore.core.objects import kinds
from longshore.core.objects.errors import ApiError
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Bind, Client, Delete, DeleteOptions, Operation
from longshore.core.watch.cache import Cache
from longshore.machinery.loop.recorder import Recorder
from longshore.machinery.scheduler.conditions import disrupted, unschedulable, without_node
from longshore.machinery.scheduler.gangs.conditions import group_condition
from longshore.machinery.scheduler.pool import Pending
from longshore.machinery.scheduler.prebinding import Prepared, reservations, writes
from longshore.machinery.scheduler.preemption.making import Victim
from longshore.machinery.scheduler.reserving import Reserver
from longshore.machinery.scheduler.turns import GroupNews, Refusal, Turn
from longshore.machinery.scheduler.untold import News

Spared = Callable[[Victim, ApiError], None]
"""Called for each victim that could not be removed, with why."""

_Told: TypeAlias = tuple[News, Operation]


class Writer:
    """Puts decisions into the cluster."""

    def __init__(self, cache: Cache, client: Client, clock: Clock, recorder: Recorder) -> None:
        self._cache = cache
        self._client = client
        self._clock = clock
        self._recorder = recorder
        self._reserver = Reserver(cache, client)
        self._log = logging.getLogger("longshore.scheduler")

    async def bind(self, bound: Sequence[tuple[Pending, str]]) -> list[tuple[Pending, ApiError]]:
        """Give pods their nodes; those that could not be bound, with why."""
        if not bound:
            return []
        missed = []
        work = [_binding(pod, node) for pod, node in bound]
        answers = await self._client.submit(work)
        for (pod, node), answer in zip(bound, answers, strict=True):
            if isinstance(answer, ApiError):
                missed.append((pod, answer))
            else:
                self._tell_bound(pod, node)
        return missed

    async def prepare(self, prepared: Sequence[Prepared]) -> list[tuple[Prepared, ApiError]]:
        """Give claims their devices, and then their volumes, or the node for which they are to be made;
        the pods for which that failed, with why."""
        failed = await self._reserver.reserve(reservations(prepared))
        owners, work = [], []
        for one in (each for each in prepared if each.pod.uid not in failed):
            for operation in writes(one, self._cache.get):
                owners.append(one)
                work.append(operation)
        answers = await self._client.submit(work) if work else []
        missed = {
            one.pod.uid: (one, answer)
            for one, answer in zip(owners, answers, strict=True)
            if isinstance(answer, ApiError)
        }
        return [*failed.values(), *missed.values()]

    def tell_in_vain(self, in_vain: Iterable[Prepared]) -> None:
        for one in in_vain:
            waited = ", ".join(f'"{key.partition("/")[2]}"' for key in one.work.waits)
            message = (
                'running PreBind plugin "VolumeBinding": binding volumes: '
                f"provisioning failed for PVC {waited}"
            )
            self._recorder.event(one.pod.about, "Warning", "FailedScheduling", message)

    async def tell(self, turn: Turn) -> list[News]:
        """Write what becomes of pods that no node takes; what could not be written."""
        now = rfc3339(self._clock.now())
        work = [
            *self._refusals(turn.refused, now),
            *self._cleared(turn.displaced),
            *self._of_groups(turn.groups, now),
        ]
        answers = await self._client.submit([operation for _, operation in work]) if work else []
        if turn.unused:
            await self._reserver.deallocate(turn.unused)
        told = zip(work, answers, strict=True)
        return [news for (news, _), answer in told if isinstance(answer, ApiError)]

    async def remove(self, victims: Sequence[Victim], spared: Spared) -> None:
        """Tell victims why, then delete them gracefully."""
        now = rfc3339(self._clock.now())
        here = [(one, pod) for one in victims if (pod := self._there(one)) is not None]
        gone = [one for one, pod in here if "deletionTimestamp" not in pod["metadata"]]
        await self._client.submit([disrupted(pod, one, now) for one, pod in here])
        work = [
            Delete(kinds.POD, one.namespace, one.name, DeleteOptions(uid=one.uid)) for one in gone
        ]
        for one, answer in zip(gone, await self._client.submit(work), strict=True):
            if isinstance(answer, ApiError):
                spared(one, answer)
            else:
                self._tell_preempted(one)

    def _refusals(self, refused: Iterable[Refusal], now: str) -> Iterable[_Told]:
        for one in refused:
            found = self._there(one.pod)
            patch = None if found is None else unschedulable(found, one, now)
            if patch is not None:
                self._recorder.event(one.pod.about, "Warning", "FailedScheduling", one.message)
                yield one, patch

    def _cleared(self, displaced: Iterable[Pending]) -> Iterable[_Told]:
        for one in displaced:
            found = self._there(one)
            if found is not None:
                yield one, without_node(found)

    def _of_groups(self, groups: Iterable[GroupNews], now: str) -> Iterable[_Told]:
        for news in groups:
            found = self._cache.get(kinds.POD_GROUP, *news.key)
            patch = None if found is None else group_condition(found, news, now)
            if patch is not None:
                yield news, patch

    def _there(self, pod: Pending | Victim) -> Doc | None:
        found = self._cache.get(kinds.POD, pod.namespace, pod.name)
        return found if found is not None and found["metadata"]["uid"] == pod.uid else None

    def _tell_bound(self, pod: Pending, node: str) -> None:
        message = f"Successfully assigned {pod.namespace}/{pod.name} to {node}"
        self._recorder.event(pod.about, "Normal", "Scheduled", message)
        if pod.pod_class.ignored:
            self._recorder.event(pod.about, "Warning", "NotWeighed", pod.pod_class.ignored)

    def _tell_preempted(self, victim: Victim) -> None:
        about = {
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"namespace": victim.namespace, "name": victim.name, "uid": victim.uid},
        }  # fmt: skip
        message = f"Preempted by pod {victim.preemptor.uid} on node {victim.node}"
        self._recorder.event(about, "Normal", "Preempted", message)


def _binding(pod: Pending, node: str) -> Bind:
    if pod.annotations is None:
        return Bind(pod.namespace, pod.name, node, pod.uid)
    told = dict(pod.annotations)
    return Bind(pod.namespace, pod.name, node, pod.uid, annotations=told)
