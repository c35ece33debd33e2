"""Bring Jobs about: hear of pods, plan a step, apply it in batches, count what ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from longshore.base.clock import Clock
from longshore.core.objects import kinds, selectors
from longshore.core.objects.errors import ApiError, NotFound
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.client import Client, Create, Delete, DeleteOptions, Operation, Update
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.machinery.controllers.common import owners
from longshore.machinery.controllers.common.answers import first_error, namespace_ends, raise_first
from longshore.machinery.controllers.common.watching import Claims
from longshore.machinery.controllers.job import plan as planning
from longshore.machinery.controllers.job.book import Book
from longshore.machinery.controllers.job.facts import TRACKING, facts_of, is_tracked
from longshore.machinery.controllers.job.metrics import JobMetrics
from longshore.machinery.controllers.job.pods import pod_from
from longshore.machinery.controllers.job.status import finished
from longshore.machinery.controllers.replicaset.plan import in_order_of_ending
from longshore.machinery.loop.answers import DONE, Answer, sooner
from longshore.machinery.loop.recorder import Recorder

Key = tuple[str, str]
# As they stand in the bytes of a pod.
_FINALIZER = f'"{TRACKING}"'.encode()
_PHASES = (b'"phase":"Succeeded"', b'"phase":"Failed"')


class Jobs:
    """The reconciler; its keys are (namespace, name). Of pods without a Job that still have a Job's
    finalizer, the name is empty.

    A change of a pod only says that it is to be looked at; how it stands is read in the cache when its
    Job's turn comes, so that a turn knows of all that was written before it."""

    name = "job"
    watches: tuple[Kind, ...] = (kinds.JOB, kinds.POD)

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
        self._recorder = recorder.named("job-controller")
        self._claims = Claims(kinds.JOB)
        self._books: dict[Key, Book] = {}
        self._touched: dict[Key, set[str]] = {}

    # -- hearing -----------------------------------------------------------------------------

    def keys(self, event: Frame) -> Iterable[Key]:
        return self._of_job(event) if event.kind is kinds.JOB else self._of_pod(event)

    def _of_job(self, event: Frame) -> Iterable[Key]:
        key = self._claims.of_owner(event)
        if event.type != "MODIFIED":  # new, gone, or everything is read anew
            self._books.pop(key, None)
        if event.type == "DELETED":
            self._touch(key, self._tracked(event.doc))
        return (key,)

    def _of_pod(self, event: Frame) -> Iterable[Key]:
        pod, keys = event.doc, self._claims.of_owned(event)
        if owners.controller(pod) is None:
            keys += self._former_owner(event)
            if not keys and is_tracked(pod):
                keys.append((pod["metadata"]["namespace"], ""))
        for key in keys:
            self._touch(key, (pod["metadata"]["name"],))
        return keys

    def _former_owner(self, event: Frame) -> list[Key]:
        """The Job that controlled a pod until this change."""
        if event.before is None or not any(term[0] == "owner" for term in event.before.terms):
            return []
        owner = owners.controller(event.before.doc)
        if owner is None or owner["kind"] != kinds.JOB.name:
            return []
        return [(event.doc["metadata"]["namespace"], owner["name"])]

    def _touch(self, key: Key, names: Iterable[str]) -> None:
        self._touched.setdefault(key, set()).update(names)

    def _tracked(self, job: Doc) -> list[str]:
        """Names of the Job's pods that it has not done with, told by their bytes: thousands may be
        over, and need no decoding."""
        pods = self._cache.shelf(kinds.POD).found(("owner", job["metadata"]["uid"]))
        return [
            pod.name
            for pod in pods
            if _FINALIZER in pod.rest or not any(phase in pod.rest for phase in _PHASES)
        ]

    # -- a turn ------------------------------------------------------------------------------

    async def reconcile(self, key: Key) -> Answer:
        job = self._cache.get(kinds.JOB, *key) if key[1] else None
        touched = self._touched.pop(key, set())
        if job is None or finished(job):
            self._books.pop(key, None)
            await self._untrack(key, filter(self._is_stray, self._pods(key, touched)))
            return DONE
        if not planning.is_ours(job):
            return DONE
        book = self._books.get(key)
        if book is None or book.uid != job["metadata"]["uid"]:
            book = self._books[key] = Book(job["metadata"]["uid"])
            touched.update(self._tracked(job), self._claims.orphans(key))
        await self._claim(key, job, book, touched)
        plan = planning.plan(job, book, self._ranker(key), self._clock.now())
        result = "error"
        try:
            answer = await self._take_step(key, job, book, plan)
            result = "success"
        finally:
            self._metrics.synced(job, result, _action(plan))
        return answer

    async def _claim(self, key: Key, job: Doc, book: Book, names: Iterable[str]) -> None:
        """Note how the touched pods stand, and take and let go what the selector says."""
        selector = selectors.from_doc(job["spec"].get("selector"))
        assert selector is not None, "the registry sees to it"
        there, policy = self._pods(key, names, book), job["spec"].get("podFailurePolicy")
        claims = owners.claim(job, selector, there)
        for pod in claims.mine:
            book.note(facts_of(pod, policy))
        work: list[Operation] = [_adoption(pod, job) for pod in claims.adopt]
        work += [_release(pod, job) for pod in claims.release]
        if work:
            self._touch(key, (one["metadata"]["name"] for one in (*claims.adopt, *claims.release)))
            raise_first(await self._client.submit(work))
        await self._untrack(
            key, (pod for pod in there if owners.owners(pod) and self._is_stray(pod))
        )

    def _pods(self, key: Key, names: Iterable[str], book: Book | None = None) -> list[Doc]:
        """Pods of these names that are there. Those of a book are looked at anew."""
        found = []
        for name in sorted(names):
            if book is not None:
                book.forget(name)
            if (pod := self._cache.get(kinds.POD, key[0], name)) is not None:
                found.append(pod)
        return found

    async def _take_step(self, key: Key, job: Doc, book: Book, plan: planning.JobPlan) -> Answer:
        failure, lacking = await self._create(key, job, book, plan.create)
        await self._end(key, job, plan)
        await self._write_status(job, _with_fewer(plan.status, lacking))
        book.backoff = plan.backoff
        for type_, reason, message in plan.told:
            self._recorder.event(job, type_, reason, message)
        await self._untrack(key, self._pods(key, plan.released))
        if failure is not None and not namespace_ends(failure):
            raise failure
        return sooner(plan.wake_after_s)

    async def _write_status(self, job: Doc, status: Doc) -> None:
        if status != (job.get("status") or {}):
            await self._client.write(Update(kinds.JOB, {**job, "status": status}, "status"))
            self._metrics.told(job, status)

    def _ranker(self, key: Key) -> planning.Rank:
        def rank(names: Sequence[str]) -> list[str]:
            pods = self._pods(key, names)
            ranked = in_order_of_ending(pods, (), self._clock.now())
            return [pod["metadata"]["name"] for pod in ranked]

        return rank

    # -- what a step does --------------------------------------------------------------------

    async def _create(
        self, key: Key, job: Doc, book: Book, wanted: Sequence[planning.Wanted]
    ) -> tuple[ApiError | None, int]:
        """Make pods; the first refusal, and how many were not made."""
        if not wanted:
            return None, 0
        owner = owners.reference(kinds.JOB, job)
        # One first when the last turn failed: a quota or a policy would refuse all of them alike.
        tried = wanted[:1] if book.refused else wanted
        answers = await self._client.submit(
            [Create(kinds.POD, pod_from(job, owner, one)) for one in tried]
        )
        made = [one["metadata"]["name"] for one in answers if not isinstance(one, ApiError)]
        self._touch(key, made)
        for name in made:
            self._recorder.event(job, "Normal", "SuccessfulCreate", f"Created pod: {name}")
        self._metrics.made(job, len(made), len(answers) - len(made))
        refusal = first_error(answers)
        book.refused = refusal is not None
        if refusal is not None and not namespace_ends(refusal):
            why = f"Error creating: {refusal.message}"
            self._recorder.event(job, "Warning", "FailedCreate", why)
        return refusal, len(wanted) - len(made)

    async def _end(self, key: Key, job: Doc, plan: planning.JobPlan) -> None:
        """Delete pods; of those whose end is not to count, the finalizer goes first."""
        dropped = self._pods(key, plan.drop)
        await self._untrack(key, dropped)
        doomed = [*dropped, *self._pods(key, plan.end)]
        if not doomed:
            return
        answers = await self._client.submit([_deletion(pod) for pod in doomed])
        for pod, answer in zip(doomed, answers, strict=True):
            if not isinstance(answer, ApiError):
                why = f"Deleted pod: {pod['metadata']['name']}"
                self._recorder.event(job, "Normal", "SuccessfulDelete", why)
        raise_first(None if isinstance(one, NotFound) else one for one in answers)

    async def _untrack(self, key: Key, pods: Iterable[Doc]) -> None:
        """Take off the finalizers of pods; whatever becomes of it, they are looked at again."""
        held = [pod for pod in pods if is_tracked(pod)]
        if not held:
            return
        self._touch(key, (pod["metadata"]["name"] for pod in held))
        answers = await self._client.submit(
            [owners.without_finalizer(kinds.POD, pod, TRACKING) for pod in held]
        )
        raise_first(None if isinstance(one, NotFound) else one for one in answers)

    def _is_stray(self, pod: Doc) -> bool:
        """No Job is there any more that would count it."""
        owner = owners.controller(pod)
        if owner is None or owner["kind"] != kinds.JOB.name:
            return owner is None
        job = self._cache.get(kinds.JOB, pod["metadata"]["namespace"], owner["name"])
        return job is None or job["metadata"]["uid"] != owner["uid"] or bool(finished(job))


def _with_fewer(status: Doc, lacking: int) -> Doc:
    """The status, which counts pods that were to be made, without those that were not."""
    active = status.get("active", 0) - lacking
    rest = {name: value for name, value in status.items() if name != "active"}
    return {**rest, "active": active} if active else rest


def _action(plan: planning.JobPlan) -> str:
    if plan.create:
        return "pods_created"
    return "pods_deleted" if plan.drop or plan.end else "tracking"


def _adoption(pod: Doc, job: Doc) -> Operation:
    """Take an orphan, and count it."""
    metadata = pod["metadata"]
    kept = [one for one in metadata.get("finalizers") or () if one != TRACKING]
    refs = [*owners.owners(pod), owners.reference(kinds.JOB, job)]
    fields = {"ownerReferences": refs, "finalizers": [*kept, TRACKING]}
    return owners.patch_metadata(kinds.POD, pod, fields)


def _release(pod: Doc, job: Doc) -> Operation:
    """Let go of a pod that the selector does not mean any more."""
    refs = [ref for ref in owners.owners(pod) if ref["uid"] != job["metadata"]["uid"]]
    kept = [one for one in pod["metadata"].get("finalizers") or () if one != TRACKING]
    fields = {"ownerReferences": refs or None, "finalizers": kept or None}
    return owners.patch_metadata(kinds.POD, pod, fields)


def _deletion(pod: Doc) -> Delete:
    metadata = pod["metadata"]
    options = DeleteOptions(uid=metadata["uid"])
    return Delete(kinds.POD, metadata["namespace"], metadata["name"], options)
