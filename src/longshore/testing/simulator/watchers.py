"""Those who follow a kind through the door for a whole simulation, from one server to the next."""

from __future__ import annotations

from collections.abc import AsyncIterator

import orjson

from longshore.core.objects.errors import ApiError
from longshore.core.objects.kinds import Doc, Kind
from longshore.doors.kit.http import StreamReply
from longshore.testing.simulator.cluster import SimulatedCluster
from longshore.testing.simulator.record import Seen
from longshore.testing.simulator.server import SimulatedServer, Unreachable

# How long a client waits before it connects anew.
_AGAIN_S = 0.5


class Watcher:
    """Lists, watches from there, goes on where it was when the connection breaks, and lists again
    only when told to (410): what an informer does. seen is all that it was told."""

    def __init__(self, cluster: SimulatedCluster, kind: Kind) -> None:
        self.seen: list[Seen] = []
        self._cluster = cluster
        self._kind = kind
        root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.version}"
        self._path = f"{root}/{kind.plural}"
        self._at = 0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                if not self._at:
                    await self._list()
                await self._watch()
            except (Unreachable, ApiError):
                await self._cluster.clock.sleep(_AGAIN_S)

    async def _list(self) -> None:
        reply = await self._cluster.ask("GET", self._path)
        if reply.status != 200:
            raise Unreachable(f"a list was refused with {reply.status}")
        doc = orjson.loads(reply.body)
        revision = int(doc["metadata"]["resourceVersion"])
        self.seen.append(Seen("BEGUN", "", revision, 0))
        self.seen += [
            Seen("LISTED", self._kind.key_of(one), revision, _own(one)) for one in doc["items"]
        ]
        self._at = revision

    async def _watch(self) -> None:
        words = f"?watch=1&allowWatchBookmarks=true&resourceVersion={self._at}"
        server, reply = await self._cluster.open("GET", self._path + words)
        if not isinstance(reply, StreamReply):
            self._at = 0 if reply_status(reply) == 410 else self._at
            raise Unreachable("a watch was refused")
        pieces = aiter(reply.pieces)
        try:
            await self._follow(server, pieces)
        finally:
            await reply.pieces.aclose()

    async def _follow(self, server: SimulatedServer, pieces: AsyncIterator[bytes]) -> None:
        weather = self._cluster.outside.weather
        drops = weather.drops
        while True:
            try:
                piece = await server.ask(lambda: _next(pieces))
            except StopAsyncIteration:
                return
            if piece is None or weather.drops != drops:
                return
            for line in filter(None, piece.split(b"\n")):
                self._take(orjson.loads(line))

    def _take(self, event: Doc) -> None:
        doc = event["object"]
        if event["type"] == "ERROR":
            self._at = 0
            raise Unreachable(doc["message"])
        self._at = _own(doc)
        if event["type"] != "BOOKMARK":
            self.seen.append(Seen(event["type"], self._kind.key_of(doc), self._at, self._at))


def _own(doc: Doc) -> int:
    return int(doc["metadata"]["resourceVersion"])


def reply_status(reply: object) -> int:
    return int(getattr(reply, "status", 0))


async def _next(pieces: AsyncIterator[bytes]) -> bytes | None:
    return await anext(pieces, None)
