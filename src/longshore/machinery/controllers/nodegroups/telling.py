"""Says what the autoscaler does: its status as a ConfigMap, and Events about that."""

from __future__ import annotations

import contextlib

from longshore.base.clock import Clock
from longshore.core.objects import kinds
from longshore.core.objects.errors import AlreadyExists, ApiError, NotFound
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Client, Create, Patch
from longshore.machinery.controllers.nodegroups import status
from longshore.machinery.controllers.nodegroups.status import Seen
from longshore.machinery.loop.recorder import EventType, Recorder


class Teller:
    """Writes only what is news."""

    def __init__(self, client: Client, clock: Clock, recorder: Recorder) -> None:
        self._client, self._clock, self._recorder = client, clock, recorder
        self._told: Doc = {}
        self._about: Doc | None = None

    @property
    def has_told(self) -> bool:
        return self._about is not None

    async def tell(self, seen: Seen) -> None:
        """The status, if it says something else than before. A server that does not take it has other
        troubles: it is written next time."""
        now = status.described(seen, self._told, self._clock.now())
        if self._told and status.same(now, self._told):
            return
        with contextlib.suppress(ApiError):
            self._about = await self._write(status.config_map(now, _yaml))
            self._told = now

    def event(self, type_: EventType, reason: str, message: str) -> None:
        """About the status, as upstream's LogEventRecorder does."""
        if self._about is not None:
            self._recorder.event(self._about, type_, reason, message)

    async def _write(self, doc: Doc) -> Doc:
        try:
            return await self._client.write(
                Patch(kinds.CONFIG_MAP, status.NAMESPACE, status.NAME, doc)
            )
        except NotFound:
            with contextlib.suppress(AlreadyExists):
                return await self._client.write(Create(kinds.CONFIG_MAP, doc))
            return await self._client.get(kinds.CONFIG_MAP, status.NAMESPACE, status.NAME)


def _yaml(doc: Doc) -> str:
    import yaml

    text: str = yaml.safe_dump(doc, sort_keys=False)
    return text
