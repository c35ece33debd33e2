"""Bring ReplicaSets and ReplicationControllers about: hear of pods, plan, apply the plan in batches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from longshore.base.clock import Clock, rfc3339
from longshore.core.objects import kinds
from longshore.core.objects.errors import ApiError, NotFound
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.client import Client, Create, Delete, DeleteOptions
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.machinery.controllers.common import owners
from longshore.machinery.controllers.common import pods as pod_state
from longshore.machinery.controllers.common.answers import first_error, namespace_ends
from longshore.machinery.controllers.common.claiming import Claimer
from longshore.machinery.controllers.common.own_status import OwnStatuses
from longshore.machinery.controllers.common.watching import Claims, is_news
from longshore.machinery.controllers.replicaset import plan as planning
from longshore.machinery.loop.answers import DONE, Answer, sooner
from longshore.machinery.loop.recorder import Recorder

Key = tuple[str, str]


class ReplicaSets:
    """The reconciler; its keys are (namespace, name)."""

    name = "replicaset"
    kind: Kind = kinds.REPLICA_SET
    component = "replicaset-controller"

    def __init__(self, cache: Cache, client: Client, clock: Clock, recorder: Recorder) -> None:
        self.watches: tuple[Kind, ...] = (self.kind, kinds.POD)
        self._cache = cache
        self._client = client
        self._clock = clock
        self._recorder = recorder.named(self.component)
        self._claims = Claims(self.kind)
        self._statuses: OwnStatuses[Key] = OwnStatuses(client, self.kind)
        self._claimer = Claimer(cache, client, self.kind, kinds.POD)

    def keys(self, event: Frame) -> Iterable[Key]:
        if event.kind is self.kind:
            key = self._claims.of_owner(event)
            return () if self._statuses.is_echo(key, event) else (key,)
        concerned = self._claims.of_owned(event) + self._claims.former(event)
        return concerned if concerned and is_news(event, pod_state.standing) else ()

    async def reconcile(self, key: Key) -> Answer:
        replica_set = self._cache.get(self.kind, *key)
        if replica_set is None:
            return DONE
        pods = await self._claimer.claimed(replica_set, self._claims.orphans(key))
        plan = planning.plan(
            replica_set, pods, lambda: self._related(replica_set), self._clock.now()
        )
        status, failure = plan.status, None
        if plan.create:
            failure = await self._create(replica_set, plan.create)
        elif plan.delete:
            failure = await self._delete(replica_set, plan.delete)
        if failure is None:
            if plan.create and planning.says_nothing(replica_set, pods):
                return DONE  # its pods' own news brings the look that counts them
            status = planning.recovered(status)
        elif not namespace_ends(failure):
            reason = "FailedCreate" if plan.create else "FailedDelete"
            now = rfc3339(self._clock.now())
            status = planning.failed(status, reason, failure.message, now)
        if status != (replica_set.get("status") or {}):
            await self._statuses.write(key, {**replica_set, "status": status})
        if failure is not None and not namespace_ends(failure):
            raise failure
        unfinished = 0.0 if max(plan.create, len(plan.delete)) == planning.BURST else None
        return sooner(plan.wake_after_s, unfinished)

    def _related(self, replica_set: Doc) -> list[Doc]:
        """Pods of all sets of the same owner: their nodes are where pods are doubled up."""
        owner = owners.controller(replica_set)
        family = (
            [replica_set]
            if owner is None
            else self._cache.indexed(self.kind, "owner", owner["uid"])
        )
        return [
            pod
            for one in family
            for pod in self._cache.indexed(kinds.POD, "owner", one["metadata"]["uid"])
        ]

    async def _create(self, replica_set: Doc, count: int) -> ApiError | None:
        owner = owners.reference(self.kind, replica_set)
        pod = planning.pod_from(replica_set, owner)
        # One first when the last turn failed: a quota or a policy would refuse all of them alike.
        conditions = (replica_set.get("status") or {}).get("conditions") or ()
        if any(one["type"] == "ReplicaFailure" for one in conditions):
            count = 1
        answers = await self._client.submit([Create(kinds.POD, pod)] * count)
        for answer in answers:
            if not isinstance(answer, ApiError):
                self._tell(replica_set, "SuccessfulCreate", f"Created pod: {_name(answer)}")
        failure = first_error(answers)
        if failure is not None and not namespace_ends(failure):
            message = f"Error creating: {failure.message}"
            self._recorder.event(replica_set, "Warning", "FailedCreate", message)
        return failure

    async def _delete(self, replica_set: Doc, pods: Sequence[Doc]) -> ApiError | None:
        work = [
            Delete(
                kinds.POD,
                pod["metadata"]["namespace"],
                _name(pod),
                DeleteOptions(uid=pod["metadata"]["uid"]),
            )
            for pod in pods
        ]
        answers = [None if isinstance(a, NotFound) else a for a in await self._client.submit(work)]
        for pod, answer in zip(pods, answers, strict=True):
            if not isinstance(answer, ApiError):
                self._tell(replica_set, "SuccessfulDelete", f"Deleted pod: {_name(pod)}")
        return first_error(answers)

    def _tell(self, replica_set: Doc, reason: str, message: str) -> None:
        self._recorder.event(replica_set, "Normal", reason, message)


class ReplicationControllers(ReplicaSets):
    """The same for the oldest kind of owner, whose selector is a plain map (upstream's
    pkg/controller/replication wraps its ReplicaSet controller likewise)."""

    name = "replicationcontroller"
    kind = kinds.REPLICATION_CONTROLLER
    component = "replication-controller"


def _name(doc: Doc) -> str:
    return str(doc["metadata"]["name"])
