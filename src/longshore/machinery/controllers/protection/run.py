"""Take the finalizers of StorageObjectInUseProtection off what nobody uses any more."""

from __future__ import annotations

from collections.abc import Iterable

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.client import Client, Update
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.core.watch.indexes import attributes_classes, claims_of
from longshore.machinery.controllers.protection import plan
from longshore.machinery.loop.answers import DONE, Answer

Key = tuple[Kind, str, str]
"""Kind, namespace, name."""
_CLASS = kinds.VOLUME_ATTRIBUTES_CLASS


class StorageProtection:
    """The reconciler."""

    name = "storage-protection"
    watches: tuple[Kind, ...] = (kinds.PVC, kinds.PV, _CLASS, kinds.POD)

    def __init__(self, cache: Cache, client: Client) -> None:
        self._cache = cache
        self._client = client

    def keys(self, event: Frame) -> Iterable[Key]:
        """The object itself, and what it has stopped to use."""
        kind, namespace = event.kind, event.stored.namespace
        if kind is kinds.POD:
            if event.type != "DELETED":
                return ()
            return [(kinds.PVC, namespace, name) for name in claims_of(event.doc)]
        before = event.before.doc if event.before is not None else event.doc
        used = () if kind is _CLASS else attributes_classes(before)
        return [(kind, namespace, event.stored.name), *((_CLASS, "", name) for name in used)]

    async def reconcile(self, key: Key) -> Answer:
        kind, namespace, name = key
        doc = self._cache.get(kind, namespace, name)
        if doc is None or not plan.waits(kind, doc):
            return DONE
        if not plan.is_used(kind, doc, self._users(kind, namespace, name)):
            await self._client.write(Update(kind, plan.released(kind, doc)))
        return DONE

    def _users(self, kind: Kind, namespace: str, name: str) -> list[Doc]:
        if kind is kinds.PVC:
            return self._cache.indexed(kinds.POD, "claim", f"{namespace}/{name}")
        if kind is _CLASS:
            users = (kinds.PVC, kinds.PV)
            return [doc for user in users for doc in self._cache.indexed(user, "attributes", name)]
        return []
