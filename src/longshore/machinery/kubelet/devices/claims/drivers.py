"""The drivers of claims that are registered on this node, and the slices of those that are not."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from longshore.base.clock import Clock
from longshore.core.objects import kinds
from longshore.core.objects.errors import ApiError
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Client, Delete
from longshore.machinery.kubelet.devices.model import PluginFailure
from longshore.machinery.kubelet.devices.peers import Driver

_log = logging.getLogger("longshore.kubelet.devices")
# A driver that is replaced by a newer one keeps its devices meanwhile (pkg/kubelet/cm/dra/plugin:
# defaultWipingDelay).
PATIENCE_S = 30.0


class Drivers:
    """By name; of several with one name, as during an update, the newest is asked."""

    def __init__(self, node: str, client: Client, clock: Clock) -> None:
        self._node = node
        self._client = client
        self._clock = clock
        self._known: dict[str, dict[Path, Driver]] = {}

    def get(self, name: str) -> Driver:
        """Raises PluginFailure."""
        known = self._known.get(name)
        if not known:
            raise PluginFailure(f"DRA driver {name} is not registered")
        return next(reversed(known.values()))

    def add(self, name: str, socket: Path, driver: Driver) -> None:
        """socket is the one by which it registered."""
        known = self._known.setdefault(name, {})
        known.pop(socket, None)
        known[socket] = driver
        _log.info("DRA driver %s is registered", name)

    async def remove(self, socket: Path) -> None:
        """Its socket is gone. Returns when its slices are, too, unless it has come back."""
        gone = [name for name, known in self._known.items() if socket in known]
        for name in gone:
            await self._known[name].pop(socket).close()
            _log.info("DRA driver %s is gone", name)
        if gone:
            await self._clock.sleep(PATIENCE_S)
            await self._forget(one for one in await self._slices() if _driver(one) in gone)

    async def forget_absent(self) -> None:
        """After a start: of drivers that the node had and that do not show up, nothing is to be had."""
        slices = await self._slices()
        if slices:
            await self._clock.sleep(PATIENCE_S)
            await self._forget(slices)

    async def _slices(self) -> list[Doc]:
        """Those of this node."""
        try:
            fields = f"spec.nodeName={self._node}"
            return list((await self._client.list(kinds.RESOURCE_SLICE, fields=fields)).items)
        except (ApiError, OSError) as error:
            _log.warning("node %s: resource slices: %s", self._node, error)
            return []

    async def _forget(self, slices: Iterable[Doc]) -> None:
        """Delete slices whose driver is not here."""
        stale = [one for one in slices if not self._known.get(_driver(one))]
        deletes = [Delete(kinds.RESOURCE_SLICE, "", one["metadata"]["name"]) for one in stale]
        if not deletes:
            return
        try:
            await self._client.submit(deletes)
        except (ApiError, OSError) as error:
            _log.warning("node %s: resource slices: %s", self._node, error)


def _driver(slice_: Doc) -> str:
    name: str = slice_["spec"]["driver"]
    return name
