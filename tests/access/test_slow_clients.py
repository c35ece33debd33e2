"""Many clients that are slow on purpose: they cost the server little, nobody else anything, and go."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from longshore.base.clock import SystemClock
from longshore.core.pki.authority import Authority
from longshore.core.pki.tls import client_context, server_context
from longshore.doors.kit.http import Reply, Request
from longshore.doors.kit.pulse import ServerLimits
from longshore.testing.clock import VirtualClock
from tests.doors.rig import Raw, echo, serving

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
CROWD = 200
MEGABYTE = 1_000_000


async def until(done: Callable[[], bool]) -> None:
    """Sockets are real: let them be read."""
    for _ in range(2000):
        if done():
            return
        await SystemClock().sleep(0.005)
    raise AssertionError("never came")


async def crowd(port: int, sent: bytes) -> list[Raw]:
    clients = [await Raw.to(port) for _ in range(CROWD)]
    for client in clients:
        client.send(sent)
    return clients


async def left(clients: list[Raw]) -> None:
    for client in clients:
        assert await asyncio.wait_for(client.closed(), 60)
        await client.close()


def resident_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


BEGINNINGS = {
    "nothing": b"",
    "half a line": b"GET /",
    "a head without end": b"GET / HTTP/1.1\r\nX: " + b"x" * 60_000,
    "a body without end": b"POST / HTTP/1.1\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 100_000,
    "chunks without end": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
}


@pytest.mark.slow
@pytest.mark.parametrize("sent", BEGINNINGS.values(), ids=BEGINNINGS)
async def test_who_never_ends_is_given_up_and_nobody_waits_for_them(sent: bytes) -> None:
    """They trickle on, which is no excuse; those who ask meanwhile are answered at once."""
    clock = VirtualClock()
    async with serving(echo, clock=clock) as (server, port):
        before = resident_bytes()
        clients = await crowd(port, sent)
        await until(lambda: server.connections == CROWD)
        for _ in range(3):
            await clock.advance(20)
            for client in clients:
                client.send(b"x" if sent else b"")
            other = await Raw.to(port)
            other.send(GET)
            assert (await asyncio.wait_for(other.reply(), 60))[0] == 200
            await other.close()
        assert resident_bytes() - before < CROWD * 2 * len(sent) + 60 * MEGABYTE
        await clock.advance(40)
        await left(clients)
        assert server.connections == 0


async def test_a_full_house_is_open_again_when_they_are_gone() -> None:
    clock = VirtualClock()
    limits = ServerLimits(connections_max=CROWD)
    async with serving(echo, clock=clock, limits=limits) as (server, port):
        clients = await crowd(port, b"GET / HTTP/1.1\r\n")
        await until(lambda: server.connections == CROWD)
        other = await Raw.to(port)
        other.send(GET)
        assert server.connections == CROWD
        await clock.advance(62)
        assert (await asyncio.wait_for(other.reply(), 60))[0] == 200
        await left(clients)
        await other.close()


async def test_who_never_reads_holds_no_more_than_its_own_answer() -> None:
    """What one was asked for again and again is not made ahead, and after a minute not at all."""
    clock, made = VirtualClock(), [0]

    async def large(_: Request) -> Reply:
        made[0] += 1
        return Reply(200, b"x" * MEGABYTE * 4)

    async with serving(large, clock=clock) as (server, port):
        clients = [await Raw.to(port) for _ in range(10)]
        for client in clients:
            assert isinstance(client.writer.transport, asyncio.Transport)
            client.writer.transport.pause_reading()
            client.send(GET * 16)
        await until(lambda: made[0] >= 10)
        await SystemClock().sleep(0.1)
        assert made[0] <= 20
        await clock.advance(62)
        await until(lambda: server.connections == 0)
        for client in clients:
            await client.close()


async def _says_nothing(port: int) -> Raw:
    return await Raw.to(port)


async def _says_something_else(port: int) -> Raw:
    client = await Raw.to(port)
    client.send(b"\x16\x03\x01\x02\x00")
    return client


@pytest.mark.parametrize("begin", [_says_nothing, _says_something_else])
async def test_who_does_not_prove_who_they_are_goes(
    tmp_path: Path, begin: Callable[[int], Awaitable[Raw]]
) -> None:
    """Before TLS is agreed upon a connection has a time of its own."""
    authority = Authority(tmp_path, SystemClock())
    trusted = authority.pair.certificate
    tls = server_context(authority.server("server", ["127.0.0.1"]), trusted)
    mine = client_context(authority.client("jane", "jane", []), trusted)
    limits = ServerLimits(connections_max=50, handshake_s=0.5)
    async with serving(echo, tls=tls, limits=limits) as (_, port):
        clients = [await begin(port) for _ in range(50)]
        good = await asyncio.wait_for(Raw.to(port, mine), 60)
        good.send(GET)
        assert (await asyncio.wait_for(good.reply(), 60))[0] == 200
        await left(clients)
        await good.close()
