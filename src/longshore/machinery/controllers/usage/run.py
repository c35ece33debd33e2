"""Account for what projects use, and see what workloads do: hear of pods and claims, have nodes
measured once a minute, and write down what came of it.

Nothing looks at all pods: pods are heard of when they change, and nodes are asked some at a time, all
of them within a minute. Projects are written in batches, each once a minute where there are few and less
often where there are many, so that it is one write a second at most.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TypeVar

from longshore.base import quantities
from longshore.base.clock import Clock
from longshore.base.limits import LOOP_SLICE
from longshore.base.metrics import counter, gauge
from longshore.core.objects import kinds
from longshore.core.objects.errors import ApiError, Expired
from longshore.core.objects.kinds import Doc
from longshore.core.objects.usage.rings import CHUNK_S, MINUTE_S
from longshore.core.registry.client import Client, Operation
from longshore.core.streams.samples import PodSample, Samples
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.machinery.controllers.usage.accounts import Account, Book
from longshore.machinery.controllers.usage.keeping import Draft, Keeper
from longshore.machinery.controllers.usage.workloads import Workloads
from longshore.machinery.loop.giving_way import give_way

_NODES_AT_ONCE = 32
_BATCH = 64
# A round of writing takes in all that changed; so long at least, and at most, is one from the next.
_ROUND_MIN_S, _ROUND_MAX_S = float(MINUTE_S), 600.0
# Distributions change slowly, and are larger: four writes a second at most.
_WORKLOADS_MIN_S, _WORKLOADS_A_SECOND = 900.0, 4
# At the end the store has this long to take what is left.
_LAST_WRITE_S = 5.0
T = TypeVar("T")
log = logging.getLogger("longshore.loop.usage")


class UsageMetrics:
    """What is counted for /metrics."""

    def __init__(self) -> None:
        self.projects = 0
        self.left_out = 0
        self.workloads = 0
        self.samples = 0

    def lines(self) -> Iterator[str]:
        told = (
            ("projects", "Projects whose use is kept.", self.projects),
            ("projects_left_out", "Projects for whose use there is no room.", self.left_out),
            ("workloads", "Workloads whose use is being seen.", self.workloads),
        )
        for name, text, value in told:
            yield from gauge(f"longshore_usage_{name}", text, (), [((), float(value))])
        yield from counter(
            "longshore_usage_samples_total", "Measurements of pods that were taken into account.",
            (), [((), float(self.samples))],
        )  # fmt: skip


class Usage:
    """The loop. Every server of a cluster has the records; who leads writes them."""

    def __init__(
        self, cache: Cache, client: Client, clock: Clock, samples: Samples, metrics: UsageMetrics
    ) -> None:
        self._cache = cache
        self._client = client
        self._clock = clock
        self._samples = samples
        self._metrics = metrics
        self._keeper = Keeper(cache)
        self._book = Book(self._open)
        self._workloads = Workloads(cache)
        self._tell()

    async def run(self) -> None:
        """Until cancelled. What is not written then is written at the end."""
        try:
            async with asyncio.TaskGroup() as crew:
                crew.create_task(self._listen(), name="usage: pods and claims")
                crew.create_task(self._measure(), name="usage: samples")
                crew.create_task(self._keep_projects(), name="usage: projects")
                crew.create_task(self._keep_workloads(), name="usage: workloads")
                crew.create_task(self._tidy(), name="usage: what is gone")
        finally:
            await self._finish()

    # --- hearing ---

    async def _listen(self) -> None:
        while True:
            feed = self._cache.subscribe(kinds.POD, kinds.PVC)
            try:
                while True:
                    for number, frame in enumerate(await feed.next_batch(), 1):
                        self._hear(frame)
                        if number % LOOP_SLICE == 0:
                            await self._clock.sleep(0)
            except Expired:
                log.warning("fell too far behind: reading everything anew")
                self._forget_gone()
            finally:
                feed.close()

    def _hear(self, frame: Frame) -> None:
        now_ms = self._now_ms()
        if frame.kind is kinds.PVC:
            size = 0 if frame.type == "DELETED" else _size(frame.doc)
            self._book.put_claim(frame.stored.key, frame.stored.namespace, size, now_ms)
        elif frame.type == "DELETED":
            self._book.drop_pod(frame.doc["metadata"]["uid"], now_ms)
            self._workloads.drop_pod(frame.doc["metadata"]["uid"])
        elif self._book.put_pod(frame.doc, now_ms):
            self._workloads.put_pod(frame.doc)
        else:
            self._workloads.drop_pod(frame.doc["metadata"]["uid"])

    def _forget_gone(self) -> None:
        """What is left is told anew."""
        there = {one.doc["metadata"]["uid"] for one in self._cache.shelf(kinds.POD).held()}
        for uid in self._book.pods():
            if uid not in there:
                self._book.drop_pod(uid, self._now_ms())
                self._workloads.drop_pod(uid)
        claims = self._cache.shelf(kinds.PVC)
        for key in self._book.claims():
            if claims.get(key) is None:
                self._book.put_claim(key, "", 0, self._now_ms())

    # --- measuring ---

    async def _measure(self) -> None:
        while True:
            names = [one.name for one in self._cache.shelf(kinds.NODE).held()]
            groups = list(_grouped(names, _NODES_AT_ONCE))
            for group in groups:
                found = await self._samples.of_nodes(group)
                for node in found.values():
                    self._take(list(node.pods.values()))
                    await self._clock.sleep(0)
                # All are asked within half a minute, so that none is asked in two minutes at once.
                await self._clock.sleep(MINUTE_S / 2 / len(groups))
            await self._clock.sleep(MINUTE_S - self._clock.now() % MINUTE_S)

    def _take(self, pods: Sequence[PodSample]) -> None:
        now_ms = self._now_ms()
        for pod in pods:
            uses = pod.containers.values()
            cpu = sum([use.cpu_ns for use in uses])
            memory = sum([use.memory_bytes for use in uses])
            self._book.measure(pod.uid, cpu, memory, now_ms)
            self._workloads.take(pod)
        self._metrics.samples += len(pods)

    # --- keeping ---

    async def _keep_projects(self) -> None:
        while True:
            changed = len(self._book.accounts)
            await self._clock.sleep(min(max(_ROUND_MIN_S, changed), _ROUND_MAX_S))
            await self._write_projects(gently=True)
            self._tell()

    async def _keep_workloads(self) -> None:
        while True:
            pace = len(self._workloads) / _WORKLOADS_A_SECOND
            await self._clock.sleep(max(_WORKLOADS_MIN_S, pace))
            await self._write_workloads(gently=True)

    def _tell(self) -> None:
        self._metrics.projects = len(self._keeper)
        self._metrics.left_out = len(self._keeper.left_out)
        self._metrics.workloads = len(self._workloads)

    async def _tidy(self) -> None:
        while True:
            await self._clock.sleep(CHUNK_S)
            for project in list(self._keeper.ended(self._clock.now(), self._book.accounts)):
                self._keeper.forget(project)
                await self._clock.sleep(0)

    async def _write_projects(self, *, gently: bool) -> None:
        for group in _grouped(list(self._book.accounts.values()), _BATCH):
            await self._write_group(group)
            if gently:
                await give_way(self._clock)
        await self._submit(self._keeper.deletions())

    async def _write_group(self, group: Sequence[Account]) -> None:
        now_ms = self._now_ms()
        drafts: list[Draft] = []
        for account in group:
            account.advance(now_ms)
            drafts.append(self._keeper.draft(account, now_ms))
        done = iter(await self._submit([one for draft in drafts for one in draft.operations]))
        for draft in drafts:
            if all(list(islice(done, len(draft.operations)))):
                self._book.let_go(draft.account)
            else:
                draft.take_back()

    async def _write_workloads(self, *, gently: bool) -> None:
        for group in _grouped(self._workloads.changed(), _BATCH):
            done = await self._submit([self._workloads.draft(one) for one in group])
            for workload, fine in zip(group, done, strict=True):
                self._workloads.written(workload, fine=fine)
            if gently:
                await give_way(self._clock)

    async def _submit(self, work: Sequence[Operation]) -> list[bool]:
        """Which of it was done."""
        if not work:
            return []
        try:
            answers = await self._client.submit(work)
        except ApiError as error:
            log.warning("what was used is not written: %s", error.message)
            return [False] * len(work)
        for answer in answers:
            if isinstance(answer, ApiError):
                log.info("what was used is not written: %s", answer.message)
        return [not isinstance(answer, ApiError) for answer in answers]

    async def _finish(self) -> None:
        """The minute that is not over is written too."""
        for account in self._book.accounts.values():
            account.advance(self._now_ms())
            account.settle()
        async with asyncio.TaskGroup() as crew:
            writing = crew.create_task(self._write_all())
            limit = crew.create_task(self._clock.sleep(_LAST_WRITE_S))
            await asyncio.wait((writing, limit), return_when=asyncio.FIRST_COMPLETED)
            writing.cancel()
            limit.cancel()

    async def _write_all(self) -> None:
        await self._write_projects(gently=False)
        await self._write_workloads(gently=False)

    def _open(self, project: str, now_ms: int) -> Account | None:
        account = self._keeper.open(project, now_ms, self._book.accounts)
        if account is None:
            log.warning("%s is not accounted: %d projects are", project, len(self._keeper))
        return account

    def _now_ms(self) -> int:
        return int(self._clock.now() * 1000)


def _size(claim: Doc) -> int:
    """The bytes of a bound claim."""
    status = claim.get("status") or {}
    if status.get("phase") != "Bound":
        return 0
    return quantities.whole((status.get("capacity") or {}).get("storage", 0))


def _grouped(things: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(things), size):
        yield things[start : start + size]
