"""Bring StatefulSets about: hear of their pods, revisions and claims, plan, and apply the plan."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from longshore.base.clock import Clock
from longshore.core.objects import kinds
from longshore.core.objects.errors import AlreadyExists, ApiError, NotFound
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.client import Client, Create, Delete, DeleteOptions, Update
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.machinery.controllers.common import owners
from longshore.machinery.controllers.common.answers import (
    first_error,
    namespace_ends,
    raise_first,
)
from longshore.machinery.controllers.common.claiming import Claimer
from longshore.machinery.controllers.common.watching import Claims
from longshore.machinery.controllers.history.plan import STATEFUL_HASH_LABEL
from longshore.machinery.controllers.history.run import History
from longshore.machinery.controllers.statefulset import identity
from longshore.machinery.controllers.statefulset import plan as planning
from longshore.machinery.controllers.statefulset.plan import Revisions, StatefulPlan
from longshore.machinery.loop.answers import DONE, Answer, sooner
from longshore.machinery.loop.recorder import Recorder

Key = tuple[str, str]


class StatefulSets:
    """The reconciler; its keys are (namespace, name)."""

    name = "statefulset"
    watches: tuple[Kind, ...] = (
        kinds.STATEFUL_SET, kinds.POD, kinds.CONTROLLER_REVISION, kinds.PVC,
    )  # fmt: skip

    def __init__(self, cache: Cache, client: Client, clock: Clock, recorder: Recorder) -> None:
        self._cache = cache
        self._client = client
        self._clock = clock
        self._recorder = recorder.named("statefulset-controller")
        self._claims = Claims(kinds.STATEFUL_SET)
        self._claimer = Claimer(cache, client, kinds.STATEFUL_SET, kinds.POD)
        self._history = History(cache, client, kinds.STATEFUL_SET, STATEFUL_HASH_LABEL)
        # Sets whose last turn was refused something: they try with one pod first.
        self._refused: set[Key] = set()

    def keys(self, event: Frame) -> Iterable[Key]:
        if event.kind is kinds.POD:
            others = self._claims.are_others(event)
            return () if others else self._claims.of_owned(event) + self._claims.former(event)
        if event.kind is kinds.STATEFUL_SET:
            self._history.of_owner(event)
            return (self._claims.of_owner(event),)
        if event.kind is kinds.CONTROLLER_REVISION:
            return self._history.of_revision(event)
        return self._waiting_for(event) if event.type == "DELETED" else ()

    def _waiting_for(self, event: Frame) -> Iterable[Key]:
        """The sets that may have waited for a claim to be gone."""
        keys = [(event.stored.namespace, one) for one in identity.sets_of_claim(event.stored.name)]
        return [key for key in keys if self._cache.get(kinds.STATEFUL_SET, *key) is not None]

    async def reconcile(self, key: Key) -> Answer:
        stateful = self._cache.get(kinds.STATEFUL_SET, *key)
        if stateful is None:
            self._refused.discard(key)
            return DONE
        try:
            return await self._turn(key, stateful)
        except ApiError as error:
            if namespace_ends(error):
                return DONE
            raise

    async def _turn(self, key: Key, stateful: Doc) -> Answer:
        pods = await self._claimer.claimed(
            stateful,
            self._claims.orphans(key),
            lambda pod: identity.is_member(stateful, pod),
        )
        history = await self._history.revisions(stateful)
        revisions = await self._revisions(stateful, history)
        if revisions is None:
            return DONE
        plan = planning.plan(
            stateful,
            pods,
            revisions,
            lambda name: self._cache.get(kinds.PVC, key[0], name),
            self._clock.now(),
            1 if key in self._refused else planning.BURST,
        )
        failure = await self._apply(key, stateful, plan)
        await self._write_status(stateful, plan.status)
        if failure is not None:
            raise failure
        await self._forget(stateful, pods, history, plan.status)
        return sooner(plan.wake_after_s)

    async def _revisions(self, stateful: Doc, history: Sequence[Doc]) -> Revisions | None:
        """None: the set is being deleted and its history is gone already."""
        status = stateful.get("status") or {}
        by_name = {one["metadata"]["name"]: one for one in history}
        current = by_name.get(status.get("currentRevision", ""))
        if owners.is_deleting(stateful):
            newest = by_name.get(status.get("updateRevision", ""))
            if current is None or newest is None:
                return None
            return Revisions(current, newest, int(status.get("collisionCount", 0)))
        newest, collisions = await self._history.newest(stateful, history)
        return Revisions(current or newest, newest, collisions)

    # ---- what is done

    async def _apply(self, key: Key, stateful: Doc, plan: StatefulPlan) -> ApiError | None:
        """Do as planned; the first refusal, after which what rests on it is left."""
        await self._own(plan)
        await self._label(stateful, plan)
        failure = await self._make_claims(stateful, plan.claims)
        if failure is None:
            failure = await self._create(stateful, plan.create)
        if failure is None:
            self._refused.discard(key)
        else:
            self._refused.add(key)
        return await self._delete(stateful, plan.delete) or failure

    async def _own(self, plan: StatefulPlan) -> None:
        """Comes first: a pod that is scaled away takes its claims with it only if they are its own
        by then."""
        work = [
            owners.patch_metadata(kinds.PVC, claim, {"ownerReferences": refs})
            for claim, refs in plan.owned
        ]
        if work:
            raise_first(await self._client.submit(work))

    async def _label(self, stateful: Doc, plan: StatefulPlan) -> None:
        if not plan.label:
            return
        work = [
            owners.patch_metadata(kinds.POD, pod, {"labels": labels}) for pod, labels in plan.label
        ]
        answers = await self._client.submit(work)
        for (pod, _), answer in zip(plan.label, answers, strict=True):
            self._tell("update", stateful, pod, answer)
        raise_first(answers)

    async def _make_claims(self, stateful: Doc, claims: Sequence[Doc]) -> ApiError | None:
        if not claims:
            return None
        answers = await self._client.submit([Create(kinds.PVC, one) for one in claims])
        others = [None if isinstance(answer, AlreadyExists) else answer for answer in answers]
        for claim, answer in zip(claims, others, strict=True):
            if answer is not None:
                self._tell_of_claim(stateful, claim["metadata"]["name"], answer)
        return first_error(others)

    async def _create(self, stateful: Doc, pods: Sequence[Doc]) -> ApiError | None:
        if not pods:
            return None
        answers = await self._client.submit([Create(kinds.POD, pod) for pod in pods])
        for pod, answer in zip(pods, answers, strict=True):
            # The last of that name may be on its way out, and not ours.
            if not isinstance(answer, AlreadyExists):
                self._tell("create", stateful, pod, answer)
        return first_error(answers)

    async def _delete(self, stateful: Doc, pods: Sequence[Doc]) -> ApiError | None:
        if not pods:
            return None
        work = [
            Delete(
                kinds.POD,
                pod["metadata"]["namespace"],
                pod["metadata"]["name"],
                DeleteOptions(uid=pod["metadata"]["uid"]),
            )
            for pod in pods
        ]
        answers = [None if isinstance(a, NotFound) else a for a in await self._client.submit(work)]
        for pod, answer in zip(pods, answers, strict=True):
            self._tell("delete", stateful, pod, answer)
        return first_error(answers)

    def _tell(self, verb: str, stateful: Doc, pod: Doc, answer: Doc | ApiError | None) -> None:
        what = f"{verb} Pod {pod['metadata']['name']} in StatefulSet {stateful['metadata']['name']}"
        if not isinstance(answer, ApiError):
            reason = f"Successful{verb.title()}"
            self._recorder.event(stateful, "Normal", reason, f"{what} successful")
        elif not namespace_ends(answer):
            message = f"{what} failed error: {answer.message}"
            self._recorder.event(stateful, "Warning", f"Failed{verb.title()}", message)

    def _tell_of_claim(self, stateful: Doc, claim: str, answer: Doc | ApiError) -> None:
        name = stateful["metadata"]["name"]
        where = f"Pod {name}-{claim.rpartition('-')[2]} in StatefulSet {name}"
        if not isinstance(answer, ApiError):
            message = f"create Claim {claim} {where} success"
            self._recorder.event(stateful, "Normal", "SuccessfulCreate", message)
        elif not namespace_ends(answer):
            message = f"create Claim {claim} for {where} failed error: {answer.message}"
            self._recorder.event(stateful, "Warning", "FailedCreate", message)

    async def _write_status(self, stateful: Doc, status: Doc) -> None:
        if status != (stateful.get("status") or {}):
            changed = {**stateful, "status": status}
            await self._client.write(Update(kinds.STATEFUL_SET, changed, "status"))

    async def _forget(
        self, stateful: Doc, pods: Sequence[Doc], history: Sequence[Doc], status: Doc
    ) -> None:
        """Keep to revisionHistoryLimit, which counts what is not in use."""
        limit = int(stateful["spec"].get("revisionHistoryLimit", 10))
        live = {status["currentRevision"], status["updateRevision"]}
        live |= {identity.revision_of(pod) for pod in pods}
        unused = [one for one in history if one["metadata"]["name"] not in live]
        await self._history.forget(unused, live, len(unused) - limit)
