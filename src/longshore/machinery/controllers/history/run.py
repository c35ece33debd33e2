"""Keep an owner's history: hear of its ControllerRevisions, make the newest, forget the oldest."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import count

from longshore.core.objects import kinds
from longshore.core.objects.errors import AlreadyExists, NotFound
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.client import Client, Create, Delete, DeleteOptions, Update
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.machinery.controllers.common import owners
from longshore.machinery.controllers.common.answers import raise_first
from longshore.machinery.controllers.common.claiming import Claimer
from longshore.machinery.controllers.common.watching import Claims
from longshore.machinery.controllers.history import plan as planning

_KIND = kinds.CONTROLLER_REVISION


class History:
    """The histories of all owners of one kind. label: see plan.next_step()."""

    def __init__(self, cache: Cache, client: Client, kind: Kind, label: str) -> None:
        self._cache = cache
        self._client = client
        self._kind = kind
        self._label = label
        self._claims = Claims(kind)
        self._claimer = Claimer(cache, client, kind, _KIND)

    def of_owner(self, event: Frame) -> None:
        """Learn of a changed owner."""
        self._claims.of_owner(event)

    def of_revision(self, event: Frame) -> Iterable[tuple[str, str]]:
        """The keys of the owners that a changed revision concerns."""
        return self._claims.of_owned(event)

    async def revisions(self, owner: Doc) -> list[Doc]:
        """All that the owner controls, the oldest first."""
        metadata = owner["metadata"]
        orphans = self._claims.orphans((metadata["namespace"], metadata["name"]))
        return planning.by_number(await self._claimer.claimed(owner, orphans))

    async def newest(self, owner: Doc, revisions: Sequence[Doc]) -> tuple[Doc, int]:
        """The revision of the owner's template, made if need be, and how many names were found taken
        by something else until now."""
        before = int((owner.get("status") or {}).get("collisionCount", 0))
        for collisions in count(before):
            step = planning.next_step(self._kind, owner, revisions, collisions, self._label)
            if step.verb == "keep":
                return step.newest, collisions
            if step.verb == "number":
                return await self._client.write(Update(_KIND, step.newest)), collisions
            if (made := await self._made(owner, step.newest)) is not None:
                return made, collisions
        raise AssertionError("there is always another name")

    async def _made(self, owner: Doc, new: Doc) -> Doc | None:
        """The new revision, or the very same if it is there already; None if something else is."""
        metadata = new["metadata"]
        try:
            return await self._client.write(Create(_KIND, new))
        except AlreadyExists:
            there = await self._client.get(_KIND, metadata["namespace"], metadata["name"])
            own = owners.controlled_by(owner["metadata"]["uid"], [there])
            return there if own and there.get("data") == new["data"] else None

    async def forget(self, revisions: Iterable[Doc], live: Collection[str], surplus: int) -> None:
        """Delete so many of the oldest that are not live."""
        work = [_deletion(one) for one in planning.outdated(revisions, live, surplus)]
        if work:
            answers = await self._client.submit(work)
            raise_first(None if isinstance(answer, NotFound) else answer for answer in answers)


def _deletion(revision: Doc) -> Delete:
    metadata = revision["metadata"]
    options = DeleteOptions(uid=metadata["uid"])
    return Delete(_KIND, metadata["namespace"], metadata["name"], options)
