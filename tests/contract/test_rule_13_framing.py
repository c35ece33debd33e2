"""Rule 13: a watch is JSON objects one after the other, each flushed as it comes, in chunks over
HTTP/1.1; over WebSocket every event is a message.

What is told over the wire is told through a real server.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.streams.protocols import Answering, Ask
from longshore.doors.kit.exchange import exchange
from longshore.doors.kit.server import Server
from longshore.doors.kit.websocket import WebSocket
from longshore.testing.clock import settle
from tests.doors.rig import Kube, Raw, config_map, kube, serving

MAPS = "/api/v1/namespaces/default/configmaps"
KEY = base64.b64encode(b"0123456789abcdef").decode()
_PATIENCE_S = 20


class World:
    """A door behind a server on a port of its own."""

    def __init__(self, ask: Kube, server: Server, port: int) -> None:
        self.ask, self.server, self.port = ask, server, port

    async def get(self, path: str, version: str = "1.1") -> Raw:
        raw = await Raw.to(self.port)
        raw.send(f"GET {path} HTTP/{version}\r\nHost: x\r\n\r\n".encode())
        return raw

    async def upgrade(self, path: str, *protocols: str, **more: str) -> Answering:
        headers = {
            "Host": "x", "Connection": "Upgrade", "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": KEY, **more,
        }  # fmt: skip
        if protocols:
            headers["Sec-WebSocket-Protocol"] = ", ".join(protocols)
        ask = Ask("GET", path, list(headers.items()))
        return await exchange(socket.socket(), ("127.0.0.1", self.port), ask, None)

    @property
    def watchers(self) -> int:
        return len(self.ask.registry.cache.shelf(kinds.CONFIG_MAP).hub)

    async def forgotten(self) -> None:
        while self.watchers:
            await settle()


@contextlib.asynccontextmanager
async def world() -> AsyncIterator[World]:
    async with asyncio.timeout(_PATIENCE_S), kube() as ask:

        async def as_user(request: Any) -> Any:
            request.user = ask.user
            return await ask.door.handle(request)

        async with serving(as_user, clock=ask.clock) as (server, port):
            yield World(ask, server, port)


async def event(socket: WebSocket) -> Doc:
    message = await socket.receive()
    assert message is not None and message.count(b"\n") == 1 and message.endswith(b"\n")
    seen: Doc = orjson.loads(message)
    return seen


def names(event: Doc) -> tuple[str, str]:
    return event["type"], event["object"]["metadata"].get("name", "")


async def test_the_head_comes_at_once_and_every_event_in_a_chunk_as_it_happens() -> None:
    async with world() as it:
        raw = await it.get(f"{MAPS}?watch=1&resourceVersion=1")
        head = await raw.head()
        assert "Transfer-Encoding: chunked\r\n" in head and "Content-Length" not in head
        assert "Content-Type: application/json\r\n" in head
        chunks = raw.chunks()
        for name in "ab":
            await it.ask("POST", MAPS, config_map(name))
            chunk = await anext(chunks)
            assert chunk.endswith(b"}\n")
            assert names(orjson.loads(chunk)) == ("ADDED", name)
        await raw.close()


async def test_it_ends_with_its_time_and_the_connection_goes_on() -> None:
    async with world() as it:
        await it.ask("POST", MAPS, config_map("a"))
        raw = await it.get(f"{MAPS}?watch=1&timeoutSeconds=5")
        await raw.head()
        chunks = raw.chunks()
        assert names(orjson.loads(await anext(chunks))) == ("ADDED", "a")
        await it.ask.clock.advance(6)
        assert [chunk async for chunk in chunks] == []
        raw.send(f"GET {MAPS}/a HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert (await raw.reply())[0] == 200
        await raw.close()


async def test_over_http_1_0_it_ends_with_the_connection() -> None:
    async with world() as it:
        await it.ask("POST", MAPS, config_map("a"))
        raw = await it.get(f"{MAPS}?watch=1&timeoutSeconds=5", version="1.0")
        assert "chunked" not in await raw.head()
        assert names(orjson.loads(await raw.reader.readline())) == ("ADDED", "a")
        await it.ask.clock.advance(6)
        assert await raw.closed()
        await raw.close()


async def test_a_client_that_leaves_is_forgotten() -> None:
    async with world() as it:
        raw = await it.get(f"{MAPS}?watch=1&resourceVersion=1")
        await raw.head()
        assert it.watchers == 1
        await raw.close()
        await it.forgotten()


# --- over WebSocket ---


@pytest.mark.parametrize("protocols", [(), ("binary.k8s.io",), ("base64.binary.k8s.io",)])
async def test_over_websocket_every_event_is_a_message_of_text(protocols: tuple[str, ...]) -> None:
    async with world() as it:
        for name in "ab":
            await it.ask("POST", MAPS, config_map(name, text="one\ntwo\r\u2028three"))
        answer = await it.upgrade(f"{MAPS}?watch=true", *protocols)
        assert answer.switched
        chosen = [v for k, v in answer.headers if k.lower() == "sec-websocket-protocol"]
        assert chosen == list(protocols)
        told = WebSocket(answer, client=True)
        assert [names(await event(told)) for _ in range(2)] == [("ADDED", "a"), ("ADDED", "b")]
        await it.ask("DELETE", f"{MAPS}/a")
        assert names(await event(told)) == ("DELETED", "a")
        answer.close()


async def test_over_websocket_it_ends_with_its_time_and_a_goodbye() -> None:
    async with world() as it:
        path = f"{MAPS}?watch=1&resourceVersion=1&timeoutSeconds=30&allowWatchBookmarks=true"
        answer = await it.upgrade(path)
        told = WebSocket(answer, client=True)
        await told.send(b"what clients say is dropped")
        await it.ask("POST", MAPS, config_map("a"))
        assert names(await event(told)) == ("ADDED", "a")
        await it.ask.clock.advance(31)
        assert (await event(told))["type"] == "BOOKMARK"
        assert await told.receive() is None
        assert it.watchers == 0
        answer.close()


async def test_a_goodbye_of_the_clients_ends_it() -> None:
    async with world() as it:
        answer = await it.upgrade(f"{MAPS}?watch=1&resourceVersion=1")
        told = WebSocket(answer, client=True)
        await told.close()
        assert await told.receive() is None
        await it.forgotten()
        answer.close()


async def test_a_server_that_stops_says_goodbye() -> None:
    async with world() as it:
        answer = await it.upgrade(f"{MAPS}?watch=1&resourceVersion=1&allowWatchBookmarks=1")
        told = WebSocket(answer, client=True)
        await it.ask("POST", MAPS, config_map("a"))
        it.server.stop()
        assert names(await event(told)) == ("ADDED", "a")
        assert (await event(told))["type"] == "BOOKMARK"
        assert await told.receive() is None
        answer.close()


@pytest.mark.parametrize("upgrade", [False, True])
async def test_a_client_that_does_not_read_is_given_up_after_a_minute(upgrade: bool) -> None:
    async with world() as it:
        raw = await Raw.to(it.port)
        more = f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: {KEY}\r\n"
        more = f"{more}Sec-WebSocket-Version: 13\r\n" if upgrade else ""
        raw.send(f"GET {MAPS}?watch=1 HTTP/1.1\r\nHost: x\r\n{more}\r\n".encode())
        assert (" 101 " in await raw.head()) == upgrade
        await it.ask("POST", MAPS, config_map("a"))
        for number in range(24):
            body = config_map("a", text=str(number) + "x" * 900_000)
            assert (await it.ask("PUT", f"{MAPS}/a", body)).status == 200
            await settle()
        await it.ask.clock.advance(50)
        assert it.watchers == 1
        await it.ask.clock.advance(15)
        await it.forgotten()
        await raw.close()


async def test_refusals_come_before_the_upgrade() -> None:
    async with world() as it:
        for path, protocols, more, status in (
            (f"{MAPS}?watch=1&sendInitialEvents=true", (), {}, 422),
            (f"{MAPS}?watch=1&resourceVersion=x", (), {}, 400),
            (f"{MAPS}?watch=1", ("a", "b"), {}, 400),
            (f"{MAPS}?watch=1", (), {"Sec-WebSocket-Version": "8"}, 400),
            (f"{MAPS}?watch=1", (), {"Sec-WebSocket-Key": "short"}, 400),
        ):
            answer = await it.upgrade(path, *protocols, **more)
            assert (answer.switched, answer.status) == (False, status)
            answer.close()
        assert it.watchers == 0
