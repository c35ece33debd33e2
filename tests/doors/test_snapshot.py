"""Where a backup is read: the administrator's alone."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from longshore.base.users import User
from longshore.doors.kubernetes.door import SNAPSHOT_PATH, DoorConfig

from .rig import kube


async def _pieces() -> AsyncGenerator[bytes, None]:
    yield b'{"revision":1}\n'


CONFIG = DoorConfig(snapshot=_pieces)


async def test_the_administrator_reads_it() -> None:
    async with kube(CONFIG, roles=True) as ask:
        watcher = await ask.watch(SNAPSHOT_PATH)
        assert await watcher.rest() == b'{"revision":1}\n'
        assert (await ask("POST", SNAPSHOT_PATH)).status == 405


@pytest.mark.parametrize(
    "user",
    [
        User("jane", ("system:authenticated",)),
        User("system:node:n", ("system:nodes", "system:authenticated")),
        User("m", ("system:monitoring", "system:authenticated")),
    ],
)
async def test_nobody_else_does(user: User) -> None:
    async with kube(CONFIG, roles=True) as ask:
        ask.user = user
        answer = await ask("GET", SNAPSHOT_PATH)
        assert (answer.status, answer.doc["reason"]) == (403, "Forbidden")
        ask.user = None
        assert (await ask("GET", SNAPSHOT_PATH)).status == 401


async def test_without_a_store_there_is_none() -> None:
    async with kube() as ask:
        assert (await ask("GET", SNAPSHOT_PATH)).status == 404
