"""Bring Deployments about: hear of them and their sets, plan a step, write it."""

from __future__ import annotations

from collections.abc import Iterable

from longshore.base.clock import Clock
from longshore.core.objects import kinds
from longshore.core.objects.errors import AlreadyExists
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.client import (
    Client,
    Create,
    Delete,
    DeleteOptions,
    Update,
)
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.machinery.controllers.common import owners
from longshore.machinery.controllers.common.answers import raise_first
from longshore.machinery.controllers.common.claiming import Claimer
from longshore.machinery.controllers.common.own_status import OwnStatuses
from longshore.machinery.controllers.common.watching import Claims
from longshore.machinery.controllers.deployment import plan as planning
from longshore.machinery.controllers.deployment import revisions, sizes
from longshore.machinery.loop.answers import DONE, Answer, sooner
from longshore.machinery.loop.recorder import Recorder

Key = tuple[str, str]


class Deployments:
    """The reconciler; its keys are (namespace, name)."""

    name = "deployment"
    watches: tuple[Kind, ...] = (kinds.DEPLOYMENT, kinds.REPLICA_SET, kinds.POD)

    def __init__(self, cache: Cache, client: Client, clock: Clock, recorder: Recorder) -> None:
        self._cache = cache
        self._client = client
        self._clock = clock
        self._recorder = recorder.named("deployment-controller")
        self._claims = Claims(kinds.DEPLOYMENT)
        self._statuses: OwnStatuses[Key] = OwnStatuses(client, kinds.DEPLOYMENT)
        self._claimer = Claimer(cache, client, kinds.DEPLOYMENT, kinds.REPLICA_SET)

    def keys(self, event: Frame) -> Iterable[Key]:
        if event.kind is kinds.POD:
            return self._waiting_for(event) if event.type == "DELETED" else ()
        if event.kind is kinds.DEPLOYMENT:
            key = self._claims.of_owner(event)
            return () if self._statuses.is_echo(key, event) else (key,)
        return self._claims.of_owned(event)

    async def reconcile(self, key: Key) -> Answer:
        deployment = self._cache.get(kinds.DEPLOYMENT, *key)
        if deployment is None:
            return DONE
        sets = await self._claimer.claimed(deployment, self._claims.orphans(key))
        pods = self._pods(sets) if sizes.strategy(deployment) == "Recreate" else []
        plan = planning.plan(deployment, sets, pods, self._clock.now())
        if plan.create is not None:
            await self._create(deployment, plan.create)
        if plan.update or plan.delete:
            raise_first(await self._client.submit([
                *(Update(kinds.REPLICA_SET, one) for one in plan.update),
                *(_deletion(one) for one in plan.delete),
            ]))  # fmt: skip
        for reason, message in plan.events:
            self._recorder.event(deployment, "Normal", reason, message)
        await self._say(key, deployment, plan)
        return sooner(plan.wake_after_s)

    def _pods(self, sets: Iterable[Doc]) -> list[Doc]:
        return [
            pod
            for one in sets
            for pod in self._cache.indexed(kinds.POD, "owner", one["metadata"]["uid"])
        ]

    def _waiting_for(self, event: Frame) -> Iterable[Key]:
        """The Deployment that waits for a pod's end before it starts the next version."""
        owner = owners.controller(event.doc)
        if owner is None or owner["kind"] != "ReplicaSet":
            return ()
        namespace = event.doc["metadata"]["namespace"]
        replica_set = self._cache.get(kinds.REPLICA_SET, namespace, owner["name"])
        above = owners.controller(replica_set) if replica_set is not None else None
        if above is None:
            return ()
        deployment = self._cache.get(kinds.DEPLOYMENT, namespace, above["name"])
        if deployment is None or sizes.strategy(deployment) != "Recreate":
            return ()
        return ((namespace, above["name"]),)

    async def _create(self, deployment: Doc, replica_set: Doc) -> None:
        """Make the new set. If its name is taken by another's, count a collision: the next hash is
        a different one."""
        try:
            await self._client.write(Create(kinds.REPLICA_SET, replica_set))
        except AlreadyExists:
            metadata = deployment["metadata"]
            there = self._cache.get(
                kinds.REPLICA_SET, metadata["namespace"], replica_set["metadata"]["name"]
            )
            if there is not None and not _is_same(deployment, there):
                count = int((deployment.get("status") or {}).get("collisionCount", 0)) + 1
                status = {**(deployment.get("status") or {}), "collisionCount": count}
                await self._client.write(
                    Update(kinds.DEPLOYMENT, {**deployment, "status": status}, "status")
                )
            raise

    async def _say(self, key: Key, deployment: Doc, plan: planning.DeploymentPlan) -> None:
        """In one write, since that of a status may change annotations too (upstream's
        getNewReplicaSet likewise notes the revision with UpdateStatus)."""
        said = deployment
        if plan.revision is not None:
            said = revisions.noted(deployment, plan.revision)
        if plan.status != (deployment.get("status") or {}):
            said = {**said, "status": plan.status}
        if said is not deployment:
            await self._statuses.write(key, said)


def _is_same(deployment: Doc, replica_set: Doc) -> bool:
    owned = owners.controlled_by(deployment["metadata"]["uid"], [replica_set])
    return bool(owned) and revisions.current(deployment, owned) is not None


def _deletion(replica_set: Doc) -> Delete:
    metadata = replica_set["metadata"]
    options = DeleteOptions(uid=metadata["uid"])
    return Delete(kinds.REPLICA_SET, metadata["namespace"], metadata["name"], options)
