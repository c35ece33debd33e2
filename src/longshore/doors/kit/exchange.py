"""One request on a connection of its own: the answer as it comes, or, if the other side switched
protocols, the connection itself. What proxies and relays stand on; fetch.py keeps connections.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Sequence

import httptools

from longshore.core.streams.protocols import Ask

# A connection must be made within this time.
CONNECT_S = 10.0
# What an answer's head may take, and how much of an answer is held unread.
_HEAD_MAX_BYTES = 64 * 1024
_READ_BYTES = 64 * 1024
# RFC 9110: answers with these statuses have no body.
_BODILESS = frozenset((204, 304))


class Exchange:
    """An answer. headers keep their order and repeats; switched: it was 101, so read() and
    write() are the connection's own bytes. close() when done with it."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, method: str
    ) -> None:
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.switched = False
        self._reader = reader
        self._writer = writer
        self._method = method
        self._parser = httptools.HttpResponseParser(self)
        self._in_head = True
        self._head_size = 0
        self._pieces: list[bytes] = []
        self._ended = self._framed = False

    def header(self, name: str) -> str:
        """The first of that name (lower-case); empty if there is none."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    async def read(self) -> bytes:
        """What has come since the last call; empty at the end. Raises ConnectionError if the
        answer breaks off."""
        while not self._pieces and not self._ended:
            await self._feed_once()
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data

    async def write(self, data: bytes) -> None:
        """Send on a connection that switched, waiting while the other side does not read."""
        self._writer.write(data)
        await self._writer.drain()

    def close(self) -> None:
        self._writer.transport.abort()

    async def open(self) -> None:
        """Read until the answer's head is there. Raises ConnectionError."""
        while self._in_head:
            await self._feed_once()

    async def _feed_once(self) -> None:
        data = await self._reader.read(_READ_BYTES)
        if not data:
            self._on_end()
        elif self.switched:
            self._pieces.append(data)
        else:
            self._parse(data)

    def _on_end(self) -> None:
        """The other side has closed: in good order if nothing said how long the answer is."""
        if self._in_head or (self._framed and not self.switched):
            raise ConnectionResetError("the connection closed before the answer was whole")
        self._ended = True

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self.switched = True
            if rest := data[upgrade.args[0] :]:
                self._pieces.append(rest)
        except httptools.HttpParserError as error:
            if not self._ended:
                raise ConnectionAbortedError(f"malformed answer: {error}") from error
        if self._in_head:
            self._head_size += len(data)
            if self._head_size > _HEAD_MAX_BYTES:
                raise ConnectionAbortedError("the answer's head is too large")

    # What httptools calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:
            self.headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self.headers.clear()
            return
        self.status, self._in_head = status, False
        self._framed = bool(self.header("content-length") or self.header("transfer-encoding"))
        self._ended = self._method == "HEAD" or status in _BODILESS

    def on_body(self, piece: bytes) -> None:
        if not self._ended:
            self._pieces.append(piece)

    def on_message_complete(self) -> None:
        self._ended = self._ended or self.status not in (0, 101)


async def exchange(
    sock: socket.socket,
    address: tuple[str, int],
    ask: Ask,
    tls: ssl.SSLContext | None = None,
) -> Exchange:
    """Connect sock, send the request whole and return when the answer's head is there. Raises
    OSError (TimeoutError and ssl.SSLError among them)."""
    reader, writer = await _connected(sock, address, tls)
    try:
        writer.write(_head(ask) + ask.body)
        await writer.drain()
        answer = Exchange(reader, writer, ask.method)
        await answer.open()
    except BaseException:
        writer.transport.abort()
        raise
    return answer


async def _connected(
    sock: socket.socket, address: tuple[str, int], tls: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        sock.setblocking(False)
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        async with asyncio.timeout(CONNECT_S):
            await asyncio.get_running_loop().sock_connect(sock, address)
            name = address[0] if tls is not None else None
            return await asyncio.open_connection(sock=sock, ssl=tls, server_hostname=name)
    except BaseException:
        sock.close()
        raise


def _head(ask: Ask) -> bytes:
    lines: Sequence[str] = [
        f"{ask.method} {ask.target} HTTP/1.1",
        *(f"{name}: {value}" for name, value in ask.headers),
    ]
    if any(sign in line for line in lines for sign in "\r\n\0"):
        raise ValueError("a header holds a line break")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
