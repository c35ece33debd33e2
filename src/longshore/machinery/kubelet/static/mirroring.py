"""Keep the mirror pods of one node: made where they lack, removed where they mirror nothing, and told
how the static pods are."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from longshore.base.clock import Clock
from longshore.core.objects import kinds
from longshore.core.objects.errors import ApiError, NotFound
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Change, Client, Create
from longshore.machinery.kubelet.config import RETRY_S
from longshore.machinery.kubelet.lifecycle.status import doubted
from longshore.machinery.kubelet.static.mirrors import (
    Name,
    is_mirror,
    mirror_of,
    mirrors_whom,
    name_of,
    plan_mirrors,
)
from longshore.machinery.kubelet.writer import StatusWriter

_log = logging.getLogger("longshore.kubelet.static")


class Mirrors:
    """A Writer for the workers of static pods: what they report goes to their mirror pods. static() says
    which static pods there are."""

    def __init__(
        self, client: Client, clock: Clock, node: str, static: Callable[[], Mapping[Name, Doc]]
    ) -> None:
        self._client = client
        self._clock = clock
        self._node = node
        self._static = static
        self._writer: StatusWriter | None = None
        self._mirrors: dict[Name, Doc] = {}
        self._statuses: dict[str, Doc] = {}
        self._listed = False
        self._news = asyncio.Event()

    def through(self, writer: StatusWriter) -> None:
        """Statuses are written by this one."""
        self._writer = writer

    # -- as a Writer -------------------------------------------------------------------------

    def put(self, pod: Doc, status: Doc) -> None:
        self._statuses[pod["metadata"]["uid"]] = status
        mirror = self._mirrors.get(name_of(pod))
        if mirror is not None:
            self._tell(mirror)

    async def finish(self, pod: Doc, status: Doc) -> None:
        """The mirror pod is removed when the API server can be asked: nobody waits for it."""
        self._statuses.pop(pod["metadata"]["uid"], None)

    def _tell(self, mirror: Doc) -> None:
        status = self._statuses.get(mirrors_whom(mirror))
        if status is not None and self._writer is not None:
            self._writer.put(mirror, status)

    # -- what the API server has -------------------------------------------------------------

    def without_mirrors(self, pods: Sequence[Doc]) -> list[Doc]:
        """All other pods of a fresh list; what mirrors there are is remembered."""
        self._mirrors = {name_of(doc): doc for doc in pods if is_mirror(doc)}
        self._listed = True
        for mirror in self._mirrors.values():
            self._tell(mirror)
        self.look()
        return [doc for doc in pods if not is_mirror(doc)]

    def hear(self, change: Change) -> bool:
        """Whether it was about a mirror pod."""
        doc = change.doc
        if not is_mirror(doc):
            return False
        known = self._mirrors.get(name_of(doc))
        if change.type == "DELETED":
            self._mirrors.pop(name_of(doc), None)
        else:
            self._mirrors[name_of(doc)] = doc
            told = self._statuses.get(mirrors_whom(doc), {})
            if known is None or doubted(None, doc, told, 0.0) is not None:
                self._tell(doc)
        self.look()
        return True

    def look(self) -> None:
        """Something changed, here or there."""
        self._news.set()

    # -- the loop ----------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            if self._listed and not await self._settled():
                await self._clock.sleep(RETRY_S)
                self._news.set()

    async def _settled(self) -> bool:
        """Write what is to be written; whether all went well."""
        plan = plan_mirrors(self._static(), self._mirrors)
        if not plan.deletions and not plan.missing:
            return True
        try:
            node = await self._client.get(kinds.NODE, "", self._node)
            creations = [Create(kinds.POD, mirror_of(doc, node)) for doc in plan.missing]
            answers = await self._client.submit([*plan.deletions, *creations])
        except (ApiError, OSError) as error:
            _log.info("node %s: mirror pods: %s", self._node, error)
            return False
        refused = [one for one in answers if isinstance(one, ApiError)]
        bad = [one for one in refused if not isinstance(one, NotFound)]
        for one in bad:
            _log.warning("node %s: a mirror pod: %s", self._node, one.message)
        return not bad
