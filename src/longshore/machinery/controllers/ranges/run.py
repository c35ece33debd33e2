"""Give every node that has none a range of pod addresses (pkg/controller/nodeipam). Agents of a
local cluster know theirs beforehand; those that join from elsewhere wait for it."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_network

from longshore.base.addresses import POD_RANGE
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Kind
from longshore.core.registry.client import Client, Patch
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.machinery.loop.answers import DONE, Answer, Hopeless

_PREFIX = 24


class PodRanges:
    """The reconciler; its keys are names of nodes."""

    name = "pod-ranges"
    watches: tuple[Kind, ...] = (kinds.NODE,)

    def __init__(self, cache: Cache, client: Client) -> None:
        self._cache = cache
        self._client = client
        self._held: dict[str, str] = {}

    def keys(self, event: Frame) -> Iterable[str]:
        name = event.stored.name
        if event.type == "DELETED":
            self._held.pop(name, None)
            return ()
        held = event.doc["spec"].get("podCIDR")
        if held:
            self._held[name] = held
            return ()
        return (name,)

    async def reconcile(self, key: str) -> Answer:
        node = self._cache.get(kinds.NODE, "", key)
        if node is None or node["spec"].get("podCIDR"):
            return DONE
        taken = set(self._held.values())
        # Slice 0 stays unused, as in network/ranges.py.
        slices = (str(one) for one in list(ip_network(POD_RANGE).subnets(new_prefix=_PREFIX))[1:])
        free = next((one for one in slices if one not in taken), None)
        if free is None:
            raise Hopeless(f"{POD_RANGE} has no range left for the pods of node {key}")
        self._held[key] = free
        await self._client.write(
            Patch(kinds.NODE, "", key, {"spec": {"podCIDR": free, "podCIDRs": [free]}})
        )
        return DONE
