"""The server on real sockets: framing, order, bounds of time, and good ends."""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from longshore.base.clock import SystemClock
from longshore.core.pki.authority import Authority
from longshore.core.pki.tls import client_context, server_context
from longshore.doors.kit.http import (
    AnyReply,
    Reply,
    Request,
    SlicedReply,
    StreamReply,
    Takeover,
    Wire,
)
from longshore.doors.kit.pulse import ServerLimits
from longshore.testing.clock import VirtualClock

from .rig import Raw, echo, serving

GET = b"GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n"


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with serving(echo) as (_, port):
        client = await Raw.to(port)
        client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(50)))
        paths = [json.loads((await client.reply())[2])["path"] for _ in range(50)]
        assert paths == [f"/{n}" for n in range(50)]
        await client.close()


async def test_answers_of_all_kinds_leave_in_the_order_in_which_they_were_asked_for() -> None:
    """Small ones wait for the end of the turn, and what is written at once comes behind them."""

    async def pieces() -> AsyncGenerator[bytes, None]:
        yield b"in "
        yield b"pieces"

    async def answer(request: Request) -> AnyReply:
        match request.path:
            case "/stream":
                return StreamReply(pieces())
            case "/slices":
                return SlicedReply(iter((b"in ", b"slices")))
            case "/large":
                return Reply(200, b"x" * 200_000)
        return Reply(200, request.path.encode())

    asked = ["/a", "/stream", "/b", "/c", "/slices", "/d", "/large", "/e"]
    shown = {"/stream": b"in pieces", "/slices": b"in slices", "/large": b"x" * 200_000}
    async with serving(answer) as (_, port):
        client = await Raw.to(port)
        client.send(b"".join(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % p.encode() for p in asked))
        for path in asked:
            assert (await client.reply())[2] == shown.get(path, path.encode())
        client.send(b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await client.reply())[2] == b"/last"
        assert await client.closed()
        await client.close()


async def test_replies_are_typed_exactly_and_dated() -> None:
    async with serving(echo) as (_, port):
        client = await Raw.to(port)
        client.send(GET)
        status, headers, body = await client.reply()
        assert (status, headers["content-type"]) == (200, "application/json")
        assert int(headers["content-length"]) == len(body)
        assert headers["date"].endswith("gmt")
        await client.close()


async def test_a_body_may_be_chunked_and_asked_for() -> None:
    async with serving(echo) as (_, port):
        client = await Raw.to(port)
        client.send(
            b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        assert (await client.head()).startswith("HTTP/1.1 100 ")
        client.send(b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")
        assert json.loads((await client.reply())[2])["size"] == 7
        await client.close()


@pytest.mark.parametrize(
    "request_", [b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"]
)
async def test_a_client_may_want_only_one_answer(request_: bytes) -> None:
    async with serving(echo) as (_, port):
        client = await Raw.to(port)
        client.send(request_)
        _, headers, _ = await client.reply()
        assert headers["connection"] == "close"
        assert await client.closed()
        await client.close()


async def test_head_has_no_body() -> None:
    async with serving(echo) as (_, port):
        client = await Raw.to(port)
        client.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert "Content-Length: " in await client.head()
        client.send(GET)
        assert (await client.reply())[0] == 200
        await client.close()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 140_000, 431),
        (b"nonsense\r\n\r\n", 400),
    ],
)
async def test_refusals_say_why_and_close(request_: bytes, status: int) -> None:
    async with serving(echo) as (_, port):
        client = await Raw.to(port)
        client.send(GET + request_)
        assert (await client.reply())[0] == 200
        assert (await client.reply())[0] == status
        assert await client.closed()
        await client.close()


async def test_a_handlers_fault_costs_one_request(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(request: Request) -> Reply:
        if request.path == "/broken":
            raise RuntimeError("a fault of ours")
        if request.path == "/split":
            return Reply(200, headers={"X": "a\r\nSet-Cookie: b"})
        return await echo(request)

    async with serving(broken) as (_, port):
        client = await Raw.to(port)
        client.send(b"GET /broken HTTP/1.1\r\nHost: x\r\n\r\n" + GET)
        assert (await client.reply())[0] == 500
        assert (await client.reply())[0] == 200
        client.send(b"GET /split HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await client.closed()
        await client.close()
    assert "a fault of ours" in caplog.text
    assert "holds a line break" in caplog.text


async def test_large_replies_arrive_whole_and_compressed_if_wanted() -> None:
    body = bytes(range(256)) * 8192

    async def large(_: Request) -> Reply:
        return Reply(200, body)

    async with serving(large) as (_, port):
        client = await Raw.to(port)
        client.send(GET)
        assert (await client.reply())[2] == body
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: br, gzip;q=0.8\r\n\r\n")
        _, headers, packed = await client.reply()
        assert headers["content-encoding"] == "gzip"
        assert gzip.decompress(packed) == body
        await client.close()


async def test_a_stream_is_flushed_piece_by_piece_and_ends() -> None:
    gate = asyncio.Event()

    async def pieces() -> AsyncGenerator[bytes, None]:
        yield b"one"
        await gate.wait()
        yield b""
        yield b"two"

    async def stream(_: Request) -> StreamReply:
        return StreamReply(pieces())

    async with serving(stream) as (_, port):
        client = await Raw.to(port)
        client.send(GET)
        assert "Transfer-Encoding: chunked" in await client.head()
        chunks = client.chunks()
        assert await anext(chunks) == b"one"
        gate.set()
        assert [chunk async for chunk in chunks] == [b"two"]
        await client.close()


async def test_a_stream_to_an_old_client_ends_with_the_connection() -> None:
    async def pieces() -> AsyncGenerator[bytes, None]:
        yield b"one"
        yield b"two"

    async def stream(_: Request) -> StreamReply:
        return StreamReply(pieces())

    async with serving(stream) as (_, port):
        client = await Raw.to(port)
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert (await client.reader.read()).endswith(b"\r\n\r\nonetwo")
        await client.close()


async def test_a_client_that_leaves_cancels_what_it_asked_for() -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def endless(_: Request) -> Reply:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return Reply(200)

    async with serving(endless) as (server, port):
        client = await Raw.to(port)
        client.send(GET)
        await begun.wait()
        await client.close()
        await cancelled.wait()
        while server.connections:
            await SystemClock().sleep(0)


async def test_stopping_lets_requests_finish_and_ends_streams_well() -> None:
    begun, gate = asyncio.Event(), asyncio.Event()

    async def pieces() -> AsyncGenerator[bytes, None]:
        yield b"one"
        begun.set()
        await asyncio.Event().wait()

    async def handler(request: Request) -> Reply | StreamReply:
        if request.path == "/stream":
            return StreamReply(pieces())
        await gate.wait()
        return Reply(200, b"late")

    async with serving(handler) as (server, port):
        idle, busy, streaming = [await Raw.to(port) for _ in range(3)]
        streaming.send(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        busy.send(GET)
        await begun.wait()
        while server.connections < 3:
            await SystemClock().sleep(0)
        server.stop()
        assert await idle.closed()
        assert (await streaming.reply())[2] == b"one"
        gate.set()
        _, headers, body = await busy.reply()
        assert (headers["connection"], body) == ("close", b"late")
        for client in (idle, busy, streaming):
            await client.close()


@pytest.mark.parametrize(
    ("sent", "seconds"), [(b"", 91), (b"GET / HTTP/1.1\r\nX: ", 61), (GET, 91)]
)
async def test_slow_and_idle_clients_are_given_up(sent: bytes, seconds: int) -> None:
    clock = VirtualClock()
    async with serving(echo, clock=clock) as (server, port):
        client = await Raw.to(port)
        client.send(sent)
        if sent == GET:
            await client.reply()
        while not server.connections:
            await SystemClock().sleep(0)
        await clock.advance(seconds - 32)
        assert server.connections == 1
        await clock.advance(33)
        assert await client.closed()
        await client.close()


async def test_no_more_connections_than_the_cap_are_served() -> None:
    async with serving(echo, limits=ServerLimits(connections_max=1)) as (server, port):
        first, second = await Raw.to(port), await Raw.to(port)
        first.send(GET)
        await first.reply()
        second.send(GET)
        assert server.connections == 1
        await first.close()
        assert (await second.reply())[0] == 200
        await second.close()


async def test_a_connection_can_be_taken_over() -> None:
    async def shout(wire: Wire) -> None:
        while (data := await wire.read()) != b"bye":
            await wire.write(data.upper())

    async def handler(_: Request) -> Takeover:
        return Takeover(shout, {"Upgrade": "shout"})

    async with serving(handler) as (_, port):
        client = await Raw.to(port)
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\nab")
        assert "Upgrade: shout" in await client.head()
        assert await client.reader.readexactly(2) == b"AB"
        client.send(b"cd")
        assert await client.reader.readexactly(2) == b"CD"
        client.send(b"bye")
        assert await client.closed()
        await client.close()


async def test_a_taken_over_connection_ends_with_the_server() -> None:
    async def deaf(wire: Wire) -> None:
        await wire.read()
        await wire.read()

    async def handler(_: Request) -> Takeover:
        return Takeover(deaf, {"Upgrade": "deaf"})

    clock = VirtualClock()
    async with serving(handler, clock=clock) as (server, port):
        client = await Raw.to(port)
        client.send(b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: deaf\r\n\r\n")
        await client.head()
        server.stop()
        await clock.advance(10)
        assert await client.closed()
        await client.close()


async def test_users_are_known_by_their_certificates(tmp_path: Path) -> None:
    for name in ("own", "other"):
        (tmp_path / name).mkdir()
    authority = Authority(tmp_path / "own", SystemClock())
    pair = authority.server("localhost", ["127.0.0.1"])
    admin = authority.client("admin", "jane", ["system:masters", "dev"])
    stranger = Authority(tmp_path / "other", SystemClock())
    foreign = stranger.client("eve", "eve", ["system:masters"])
    tls = server_context(pair, authority.pair.certificate)
    async with serving(echo, tls=tls) as (_, port):
        client = await Raw.to(port, client_context(admin, authority.pair.certificate))
        client.send(GET)
        seen = json.loads((await client.reply())[2])
        assert seen["user"] == "jane"
        assert set(seen["groups"]) == {"system:masters", "dev", "system:authenticated"}
        await client.close()
        with pytest.raises((OSError, EOFError)):
            await _ask_once(port, client_context(foreign, authority.pair.certificate))


class Jumping(VirtualClock):
    """Its wall can be set; what it measures goes on evenly."""

    jumped = 0.0

    def now(self) -> float:
        return super().now() + self.jumped


async def test_nobody_is_known_by_a_certificate_that_has_ended(tmp_path: Path) -> None:
    """Also on a connection that was opened while it was good."""
    authority = Authority(tmp_path, SystemClock())
    pair = authority.server("localhost", ["127.0.0.1"])
    jane = authority.client("jane", "jane", [])
    clock = Jumping(SystemClock().now())
    tls = server_context(pair, authority.pair.certificate)
    async with serving(echo, tls=tls, clock=clock) as (_, port):
        client = await Raw.to(port, client_context(jane, authority.pair.certificate))
        seen = []
        for wait_s in (0.0, jane.lifetime.ends - clock.now() + 1):
            clock.jumped += wait_s
            await clock.advance(1.5)
            client.send(GET)
            seen.append(json.loads((await client.reply())[2])["user"])
        assert seen == ["jane", None]
        await client.close()


async def _ask_once(port: int, tls: ssl.SSLContext) -> None:
    client = await Raw.to(port, tls)
    try:
        client.send(GET)
        await client.reply()
    finally:
        await client.close()
