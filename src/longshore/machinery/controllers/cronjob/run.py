"""Bring CronJobs about: wait for their times, make Jobs, tidy up after them."""

from __future__ import annotations

from collections.abc import Iterable

from longshore.base.clock import Clock
from longshore.core.objects import kinds
from longshore.core.objects.errors import AlreadyExists, ApiError, NotFound
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.client import Client, Create, Delete, DeleteOptions, Update
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.machinery.controllers.common import owners
from longshore.machinery.controllers.common.answers import namespace_ends, raise_first
from longshore.machinery.controllers.cronjob import plan as planning
from longshore.machinery.controllers.job.metrics import JobMetrics
from longshore.machinery.loop.answers import DONE, Answer, sooner
from longshore.machinery.loop.recorder import Recorder

Key = tuple[str, str]


class CronJobs:
    """The reconciler; its keys are (namespace, name). Between the times of a schedule it sleeps."""

    name = "cronjob"
    watches: tuple[Kind, ...] = (kinds.CRON_JOB, kinds.JOB)

    def __init__(
        self,
        cache: Cache,
        client: Client,
        clock: Clock,
        recorder: Recorder,
        metrics: JobMetrics,
    ) -> None:
        self._metrics = metrics
        self._cache = cache
        self._client = client
        self._clock = clock
        self._recorder = recorder.named("cronjob-controller")

    def keys(self, event: Frame) -> Iterable[Key]:
        metadata = event.doc["metadata"]
        if event.kind is kinds.CRON_JOB:
            return ((metadata["namespace"], metadata["name"]),)
        owner = owners.controller(event.doc)
        if owner is None or owner["kind"] != kinds.CRON_JOB.name:
            return ()
        return ((metadata["namespace"], owner["name"]),)

    async def reconcile(self, key: Key) -> Answer:
        cron = self._cache.get(kinds.CRON_JOB, *key)
        if cron is None:
            return DONE
        uid, now = cron["metadata"]["uid"], self._clock.now()
        jobs = owners.controlled_by(uid, self._cache.indexed(kinds.JOB, "owner", uid))
        plan = planning.plan(cron, jobs, owners.reference(kinds.CRON_JOB, cron), now)
        for type_, reason, message in plan.told:
            self._recorder.event(cron, type_, reason, message)
        await self._delete(cron, plan.delete)
        status = plan.status
        if plan.create is not None:
            job = await self._made(cron, plan.create, plan.at)
            if job is not None:
                status = planning.started(status, job, plan.at)
        if status != (cron.get("status") or {}):
            await self._client.write(Update(kinds.CRON_JOB, {**cron, "status": status}, "status"))
        return sooner(None if plan.wake_at is None else plan.wake_at - self._clock.now())

    async def _made(self, cron: Doc, job: Doc, at: float) -> Doc | None:
        """Make a Job. One that is there already was made before this controller could say so, or is
        somebody else's (None)."""
        try:
            made = await self._client.write(Create(kinds.JOB, job))
        except AlreadyExists:
            metadata = job["metadata"]
            there = self._cache.get(kinds.JOB, metadata["namespace"], metadata["name"])
            ours = owners.controlled_by(cron["metadata"]["uid"], [there] if there else [])
            return there if ours else None
        except ApiError as error:
            if not namespace_ends(error):
                why = f"Error creating job: {error.message}"
                self._recorder.event(cron, "Warning", "FailedCreate", why)
            raise
        self._metrics.scheduled(self._clock.now() - at)
        why = f"Created job {made['metadata']['name']}"
        self._recorder.event(cron, "Normal", "SuccessfulCreate", why)
        return made

    async def _delete(self, cron: Doc, jobs: Iterable[Doc]) -> None:
        doomed = list(jobs)
        if not doomed:
            return
        answers = await self._client.submit([_deletion(job) for job in doomed])
        for job, answer in zip(doomed, answers, strict=True):
            if not isinstance(answer, ApiError):
                why = f"Deleted job {job['metadata']['name']}"
                self._recorder.event(cron, "Normal", "SuccessfulDelete", why)
        raise_first(None if isinstance(one, NotFound) else one for one in answers)


def _deletion(job: Doc) -> Delete:
    metadata = job["metadata"]
    options = DeleteOptions(propagation="Background", uid=metadata["uid"])
    return Delete(kinds.JOB, metadata["namespace"], metadata["name"], options)
