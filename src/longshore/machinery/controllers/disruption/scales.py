"""How many pods a controller should have, whatever its kind."""

from __future__ import annotations

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind, Kinds
from longshore.core.watch.cache import Cache
from longshore.machinery.controllers.common import owners
from longshore.machinery.controllers.disruption.members import Owner
from longshore.machinery.controllers.disruption.plan import Uncountable


class Scales:
    """Looks controllers up in the cache."""

    def __init__(self, cache: Cache, known: Kinds) -> None:
        self._cache = cache
        self._known = known

    def of(self, namespace: str, owner: Owner) -> tuple[str, int] | None:
        """The uid and replicas of a controller, or of the Deployment above a ReplicaSet; None if it
        is gone. Raises Uncountable for kinds that have no scale."""
        kind = self._scalable(owner)
        found = self._there(kind, namespace, owner.name, owner.uid)
        if found is None:
            return None
        above = owners.controller(found) if kind.kept_as is kinds.REPLICA_SET else None
        if above is not None and above["kind"] == kinds.DEPLOYMENT.name:
            name, uid = above["name"], above["uid"]
            found = self._there(kinds.DEPLOYMENT, namespace, name, uid) or found
        return found["metadata"]["uid"], int(found["spec"].get("replicas", 1))

    def _scalable(self, owner: Owner) -> Kind:
        kind = self._known.named(owner.api_version, owner.kind)
        if kind is None:
            raise Uncountable(
                f'no matches for kind "{owner.kind}" in version "{owner.api_version}"'
            )
        if "scale" not in kind.subresources:
            raise Uncountable(f"{kind.resource} does not implement the scale subresource")
        return kind

    def _there(self, kind: Kind, namespace: str, name: str, uid: str) -> Doc | None:
        found = self._cache.get(kind, namespace, name)
        return found if found is not None and found["metadata"]["uid"] == uid else None
