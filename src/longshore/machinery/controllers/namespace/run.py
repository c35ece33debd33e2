"""End namespaces that are being deleted: see plan.py for the order."""

from __future__ import annotations

from collections.abc import Iterable

from longshore.base.clock import Clock
from longshore.core.objects import kinds
from longshore.core.objects.errors import NotFound
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.client import Client, Delete, DeleteOptions, Update
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.machinery.controllers.common.answers import raise_first
from longshore.machinery.controllers.namespace import plan as planning
from longshore.machinery.loop.answers import DONE, Answer


class Namespaces:
    """The reconciler; its keys are names of namespaces."""

    name = "namespace"

    def __init__(self, cache: Cache, client: Client, clock: Clock, stored: Iterable[Kind]) -> None:
        self._cache = cache
        self._client = client
        self._clock = clock
        self._contents = tuple(kind for kind in stored if kind.namespaced)
        self._ending: set[str] = set()

    @property
    def watches(self) -> tuple[Kind, ...]:
        return (kinds.NAMESPACE, *self._contents)

    def keys(self, event: Frame) -> Iterable[str]:
        if event.kind is not kinds.NAMESPACE:
            # What happens in a namespace matters only when it is to become empty.
            namespace = event.stored.namespace
            return (namespace,) if namespace in self._ending else ()
        name = event.stored.name
        if event.type == "DELETED":
            self._ending.discard(name)
            return ()
        if "deletionTimestamp" not in event.doc["metadata"]:
            return ()
        self._ending.add(name)
        return (name,)

    async def reconcile(self, key: str) -> Answer:
        namespace = self._cache.get(kinds.NAMESPACE, "", key)
        if namespace is None or "deletionTimestamp" not in namespace["metadata"]:
            return DONE
        contents = {kind: self._cache.indexed(kind, "namespace", key) for kind in self._contents}
        plan = planning.plan(namespace, contents, self._clock.now())
        if plan.finalized is not None:
            await self._client.write(Update(kinds.NAMESPACE, plan.finalized, "finalize"))
            return DONE
        if plan.status != namespace.get("status"):
            told = {**namespace, "status": plan.status}
            await self._client.write(Update(kinds.NAMESPACE, told, "status"))
        answers = await self._client.submit([_deletion(kind, doc) for kind, doc in plan.delete])
        raise_first(None if isinstance(answer, NotFound) else answer for answer in answers)
        return DONE


def _deletion(kind: Kind, doc: Doc) -> Delete:
    metadata = doc["metadata"]
    options = DeleteOptions(uid=metadata["uid"])
    return Delete(kind, metadata["namespace"], metadata["name"], options)
