"""Statuses that a controller writes, and how it knows them again: its own word is no news to it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.client import Client, Update
from longshore.core.watch.frames import Frame

K = TypeVar("K", bound=Hashable)


class OwnStatuses(Generic[K]):
    """Writes statuses of one kind. What is being written is remembered until its writer goes on, by
    when the change has mostly been heard of. Where it has not, it is looked at as any other."""

    def __init__(self, client: Client, kind: Kind) -> None:
        self._client = client
        self._kind = kind
        self._writing: dict[K, Doc] = {}

    async def write(self, key: K, doc: Doc) -> None:
        """Write the status that doc has, unless the object has changed since. Raises ApiError. No two
        may be under way for one key."""
        self._writing[key] = doc
        try:
            await self._client.write(Update(self._kind, doc, "status"))
        finally:
            del self._writing[key]

    def is_echo(self, key: K, event: Frame) -> bool:
        """Whether a change is the one that is being written. Should it be another's of the same state,
        then the write is refused, and its loop looks again for that."""
        said = self._writing.get(key)
        if said is None or event.before is None or event.type != "MODIFIED":
            return False
        if said["metadata"]["resourceVersion"] != str(event.before.revision):
            return False
        return bool(event.doc.get("status") == said["status"])
