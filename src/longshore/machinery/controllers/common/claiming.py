"""Bring about what claims say: an owner takes in orphans that it selects, and lets go of strays."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from longshore.core.objects import selectors
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.client import Client, Operation
from longshore.core.watch.cache import Cache
from longshore.machinery.controllers.common import owners
from longshore.machinery.controllers.common.answers import raise_first


def _anyone(_doc: Doc) -> bool:
    return True


class Claimer:
    """Claims objects of one kind for owners of another, both of which are in the cache."""

    def __init__(self, cache: Cache, client: Client, owner_kind: Kind, kind: Kind) -> None:
        self._cache = cache
        self._client = client
        self._owner_kind = owner_kind
        self._kind = kind

    async def claimed(
        self,
        owner: Doc,
        orphans: Iterable[str],
        is_member: Callable[[Doc], bool] = _anyone,
    ) -> list[Doc]:
        """What the owner controls, after it has taken and let go what it must. orphans are names of
        objects of its namespace that nobody controls; only members are taken. Raises the first
        ApiError."""
        metadata = owner["metadata"]
        uid, namespace = metadata["uid"], metadata["namespace"]
        selector = selectors.of_workload(owner)
        assert selector is not None, "validation asks for a selector"
        strays = (self._cache.get(self._kind, namespace, name) for name in orphans)
        candidates = [one for one in strays if one is not None and is_member(one)]
        owned = self._cache.indexed(self._kind, "owner", uid)
        claims = owners.claim(owner, selector, [*owned, *candidates])
        work: list[Operation] = [
            owners.adoption(self._kind, one, self._owner_kind, owner) for one in claims.adopt
        ]
        work += [owners.without_owner(self._kind, one, [uid]) for one in claims.release]
        if not work:
            return list(claims.mine)
        raise_first(await self._client.submit(work))
        return owners.controlled_by(uid, self._cache.indexed(self._kind, "owner", uid))
