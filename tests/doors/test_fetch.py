"""The client's connections when whoever asked gives up before they are there."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from pathlib import Path

import pytest

from longshore.base.clock import SystemClock
from longshore.core.pki.authority import Authority
from longshore.doors.kit import fetch
from longshore.doors.kit.fetch import FetchError, Pool


async def test_a_request_given_up_at_any_moment_of_connecting_leaves_its_socket_to_its_transport(
    tmp_path: Path,
) -> None:
    """The next socket gets the same number: the loop must not think that it is still in use."""
    writers: list[asyncio.StreamWriter] = []

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    served, asked = contexts(tmp_path)
    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=served)
    pool = Pool([f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"], asked)
    for turns in range(120):
        asking = asyncio.ensure_future(pool.fetch("GET", "/", {}))
        for _ in range(turns % 40):
            await SystemClock().sleep(0)
        asking.cancel()
        (outcome,) = await asyncio.gather(asking, return_exceptions=True)
        assert isinstance(outcome, asyncio.CancelledError)
    for writer in writers:
        writer.transport.abort()
    server.close()
    await server.wait_closed()


async def test_connections_that_a_burst_has_left_are_closed_and_the_one_in_use_is_kept() -> None:
    there: set[asyncio.StreamWriter] = set()
    ever = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal ever
        ever += 1
        there.add(writer)
        with suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                await SystemClock().sleep(0.02)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        there.discard(writer)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    pool = Pool([f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"], None, keep_s=0.5)
    await asyncio.gather(*(pool.fetch("GET", "/", {}) for _ in range(6)))
    assert (len(there), ever) == (6, 6)
    clock, longest_s = SystemClock(), 0.0
    async with asyncio.timeout(60):
        while len(there) > 1:
            began = clock.monotonic()
            await pool.fetch("GET", "/", {})
            longest_s = max(longest_s, clock.monotonic() - began)
        while there:
            await clock.sleep(0.02)
    assert ever == 6 or longest_s > 0.4, "another is made if the machine stood still"
    pool.close()
    server.close()
    await server.wait_closed()


def contexts(directory: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's, and that of a client that believes it."""
    pair = Authority(directory, SystemClock()).server("server", ["127.0.0.1"])
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(pair.certificate, pair.key)
    return served, ssl.create_default_context(cafile=str(directory / "ca.crt"))


async def test_a_server_that_says_nothing_has_timed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is stopped, or has no time: its kernel accepts, and that is all."""
    monkeypatch.setattr(fetch, "CONNECT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        pool = Pool([f"https://127.0.0.1:{deaf.getsockname()[1]}"], ssl.create_default_context())
        with pytest.raises(FetchError, match=r"https://127.0.0.1:\d+: timed out"):
            await pool.fetch("GET", "/", {})
