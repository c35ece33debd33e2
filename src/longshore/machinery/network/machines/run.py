"""Keep a machine's routes to the pods of all others, as the cluster's nodes come and go."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from longshore.base.clock import Clock
from longshore.core.objects.kinds import NODE_PEER, Doc
from longshore.core.registry.client import Change, Client
from longshore.machinery.loop.follow import follow
from longshore.machinery.network.errors import NetlinkFailure
from longshore.machinery.network.machines.plan import (
    VXLAN,
    Neighbour,
    Surroundings,
    changed,
    forgotten,
    known_of,
    stale,
    ways_to,
)
from longshore.machinery.network.netlink import Message, Netlink, delete_link
from longshore.machinery.network.ranges import NodeNet

_RETRY_S = 5.0
_log = logging.getLogger("longshore.network.machines")


class MachineRoutes:
    """The routes of the machine whose network namespace the process is in."""

    def __init__(self, client: Client, own: NodeNet, clock: Clock) -> None:
        self._client = client
        self._own = own
        self._clock = clock
        self._known: dict[str, Neighbour] = {}
        self._made: frozenset[Neighbour] | None = None
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled; the routes stay, since the pods do."""
        async with asyncio.TaskGroup() as group:
            following = follow(self._client, NODE_PEER, self._clock, self._whole, self._changes)
            group.create_task(following, name="follow nodepeers")
            group.create_task(self._keep(), name="routes to other machines")

    def _whole(self, docs: Sequence[Doc]) -> None:
        self._known = known_of(docs, self._own.name)
        self._news.set()

    def _changes(self, changes: Sequence[Change]) -> None:
        for change in changes:
            name = change.doc["metadata"]["name"]
            if name != self._own.name:
                node = None if change.type == "DELETED" else change.doc
                self._known = changed(self._known, name, node)
        self._news.set()

    async def _keep(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await asyncio.to_thread(self._make, frozenset(self._known.values()))
            except NetlinkFailure as error:
                _log.warning("not all pods of other machines are reached: %s", error)
                await self._clock.sleep(_RETRY_S)
                self._news.set()

    def _make(self, wanted: frozenset[Neighbour]) -> None:
        """Bring the kernel's routes to what is wanted. Blocking."""
        with Netlink() as kernel:
            around = Surroundings(kernel.links(), kernel.addresses())
            kernel.run(self._unwanted(kernel, wanted, around))
            near, far = ways_to(wanted - (self._made or frozenset()), self._own, around)
            kernel.run(near)
            kernel.run(far)
        self._made = wanted

    def _unwanted(
        self, kernel: Netlink, wanted: frozenset[Neighbour], around: Surroundings
    ) -> list[Message]:
        if self._made is None:
            return stale(kernel.routes(), wanted)
        return forgotten(self._made, wanted, around)


def remove_routes() -> None:
    """Take away every route to other machines' pods from the namespace one is in. Idempotent. Blocking."""
    with Netlink() as kernel:
        kernel.run(stale(kernel.routes(), ()))
        kernel.run([delete_link(VXLAN)])
