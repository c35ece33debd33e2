"""A proxied answer that switched protocols: bytes both ways until either side leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from longshore.core.streams.protocols import Answering
from longshore.doors.kit.http import Takeover, Wire

# Headers of one connection, that a proxy does not pass on (RFC 9110, section 7.6.1).
HOP_BY_HOP = frozenset({
    "connection", "proxy-connection", "keep-alive", "te", "trailer", "transfer-encoding",
    "upgrade", "proxy-authenticate", "proxy-authorization",
})  # fmt: skip


def switched(answer: Answering) -> Takeover:
    """Hand the client's connection over to the answer's; closes the answer in the end."""
    kept = HOP_BY_HOP - {"upgrade"}
    headers = {name: value for name, value in answer.headers if name.lower() not in kept}
    return Takeover(_carrying(answer), headers)


def _carrying(answer: Answering) -> Callable[[Wire], Awaitable[None]]:
    async def talk(wire: Wire) -> None:
        try:
            await until_first(_there(wire, answer), _back(answer, wire))
        finally:
            answer.close()

    return talk


async def _there(wire: Wire, answer: Answering) -> None:
    while True:
        await answer.write(await wire.read())


async def _back(answer: Answering, wire: Wire) -> None:
    while data := await answer.read():
        await wire.write(data)


async def until_first(*works: Coroutine[Any, Any, None]) -> None:
    """Run them until one ends, and cancel the others. A connection that breaks ends it too."""
    try:
        async with asyncio.TaskGroup() as crew:
            tasks = [crew.create_task(work) for work in works]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
    except* OSError:
        pass
