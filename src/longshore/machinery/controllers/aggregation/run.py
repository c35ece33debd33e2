"""Keep ClusterRoles that gather others true to them (pkg/controller/clusterroleaggregation)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from longshore.core.objects.kinds import CLUSTER_ROLE, Kind
from longshore.core.objects.rbac.aggregation import gathered, selectors_of
from longshore.core.objects.selectors import Selector
from longshore.core.registry.client import Client, Patch
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.machinery.loop.answers import DONE, Answer


class RoleAggregation:
    """The reconciler; its keys are names of ClusterRoles that gather."""

    name = "clusterrole-aggregation"
    watches: tuple[Kind, ...] = (CLUSTER_ROLE,)

    def __init__(self, cache: Cache, client: Client) -> None:
        self._cache = cache
        self._client = client
        self._gathering: dict[str, list[Selector]] = {}

    def keys(self, event: Frame) -> Iterable[str]:
        """The role itself, should it gather, and those that gather it now or did before."""
        name = event.stored.name
        selectors = selectors_of(event.doc) if event.type != "DELETED" else []
        if selectors:
            self._gathering[name] = selectors
        else:
            self._gathering.pop(name, None)
        return {*self._gatherers(event), *((name,) if selectors else ())}

    def _gatherers(self, event: Frame) -> Iterator[str]:
        states = [doc["metadata"].get("labels") for doc in (event.doc, event.old) if doc]
        for name, selectors in self._gathering.items():
            if any(one.matches(labels) for one in selectors for labels in states):
                yield name

    async def reconcile(self, key: str) -> Answer:
        role = self._cache.get(CLUSTER_ROLE, "", key)
        if role is None or not selectors_of(role):
            return DONE
        rules = gathered(role, self._cache.all(CLUSTER_ROLE))
        if rules != (role.get("rules") or []):
            await self._client.write(Patch(CLUSTER_ROLE, "", key, {"rules": rules}))
        return DONE
