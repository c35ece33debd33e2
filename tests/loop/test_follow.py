"""Following a kind: a snapshot, then changes, whatever becomes of the server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

from longshore.core.objects import kinds
from longshore.core.objects.errors import Expired, Unavailable
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.client import Change, Client, Listing
from longshore.machinery.loop.follow import follow
from longshore.testing.clock import VirtualClock, settle

ONE, TWO = {"metadata": {"name": "one"}}, {"metadata": {"name": "two"}}


class Feed:
    """Batches, then an error, or silence."""

    def __init__(self, *told: list[Change] | Exception) -> None:
        self._told = list(told)
        self.closed = False

    async def next_batch(self) -> list[Change]:
        if not self._told:
            await asyncio.Event().wait()
        told = self._told.pop(0)
        if isinstance(told, Exception):
            raise told
        return told

    def close(self) -> None:
        self.closed = True


class Server:
    """Answers list_and_watch as it is told."""

    def __init__(self, *answers: Feed | Exception) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def list_and_watch(
        self, kind: Kind, namespace: str = "", *, fields: str = ""
    ) -> tuple[Listing, Feed]:
        assert kind is kinds.SERVICE
        self.asked += 1
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Listing([ONE], 1), answer


async def test_every_way_to_lose_the_server_ends_in_a_new_snapshot() -> None:
    change = Change("MODIFIED", TWO)
    behind, broken, last = Feed([change], Expired("too old")), Feed(OSError("reset")), Feed()
    server = Server(Unavailable("down"), OSError("refused"), behind, broken, last)
    clock = VirtualClock()
    heard: list[list[Any]] = []

    def whole(docs: Sequence[Doc]) -> None:
        heard.append(list(docs))

    def changes(batch: Sequence[Change]) -> None:
        heard.append(list(batch))

    async with asyncio.TaskGroup() as group:
        client = cast(Client, server)
        task = group.create_task(follow(client, kinds.SERVICE, clock, whole, changes))
        await settle()
        assert (server.asked, heard) == (1, [])
        await clock.advance(1)
        await settle()
        assert (server.asked, heard) == (2, [])
        await clock.advance(1)
        await settle()
        # The feed that fell behind is replaced at once; the one that broke, after a pause.
        assert heard == [[ONE], [change], [ONE]]
        await clock.advance(1)
        await settle()
        assert heard == [[ONE], [change], [ONE], [ONE]]
        task.cancel()
    assert (behind.closed, broken.closed, last.closed) == (True, True, True)
