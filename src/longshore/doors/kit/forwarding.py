"""Ports of a pod, carried over one connection: by SPDY, by SPDY tunnelled through a WebSocket
(KEP-4006), or, for clients without SPDY, by the channels of a WebSocket.

Facts: k8s.io/kubelet pkg/cri/streaming/portforward (httpstream.go: a connection is a stream for errors
and one for data, with one requestID; websocket.go: two channels a port, each begun by its number).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias

from longshore.core.objects.errors import ApiError
from longshore.core.streams.spdy.session import Session, Stream
from longshore.doors.kit import spdy_line as spdy
from longshore.doors.kit import websocket
from longshore.doors.kit.channels import PROTOCOLS, BadMessage, Channels
from longshore.doors.kit.http import Takeover, Wire
from longshore.doors.kit.relay import until_first
from longshore.doors.kit.websocket import BadHandshake, WebSocket

log = logging.getLogger(__name__)

PROTOCOL = "portforward.k8s.io"
TUNNEL = "SPDY/3.1+" + PROTOCOL
_CHANNELS = ("v4.channel.k8s.io", "v4.base64.channel.k8s.io")
_READ_BYTES = 32 * 1024

Dial: TypeAlias = Callable[[int], Awaitable[tuple[StreamReader, StreamWriter]]]
"""Connects to a port of the pod. Raises OSError or ApiError."""


def forwarding(headers: Mapping[str, str], ports: Sequence[int], dial: Dial) -> Takeover:
    """Whichever of the three a request asks for; ports are asked of channels only. Raises
    BadHandshake."""
    if spdy.is_spdy(headers):
        return Takeover(_by_streams(dial), spdy.accept(spdy.negotiate(headers, (PROTOCOL,))))
    if not websocket.is_websocket(headers):
        raise BadHandshake("Upgrade request required")
    name = websocket.negotiate(headers, (TUNNEL, *_CHANNELS))
    answer = websocket.accept(headers, name)
    if name == TUNNEL:
        return Takeover(lambda wire: _by_streams(dial)(_Tunnel(WebSocket(wire))), answer)
    if not ports:
        raise BadHandshake('query parameter "ports" is required')
    return Takeover(_by_channels(PROTOCOLS[name], ports, dial), answer)


class _Tunnel:
    """A WebSocket whose messages, joined, are another protocol's bytes."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def read(self) -> bytes:
        while (message := await self._socket.receive()) == b"":
            pass
        if message is None:
            raise ConnectionResetError("the client has closed the tunnel")
        return message

    async def write(self, data: bytes) -> None:
        await self._socket.send(data)


# ---- by SPDY's streams


def _by_streams(dial: Dial) -> Callable[[Wire], Awaitable[None]]:
    async def talk(wire: Wire) -> None:
        async with asyncio.TaskGroup() as crew:
            forwarder = _Forwarder(wire, dial, crew)
            with contextlib.suppress(ConnectionError):
                await forwarder.session.run()

    return talk


class _Forwarder:
    """Pairs the streams of each connection, and carries it."""

    def __init__(self, wire: Wire, dial: Dial, crew: asyncio.TaskGroup) -> None:
        self.session = Session(wire, self._accept)
        self._dial = dial
        self._crew = crew
        self._halves: dict[str, dict[str, Stream]] = {}

    def _accept(self, stream: Stream) -> None:
        headers = stream.headers
        kind, port = headers.get("streamtype", ""), _port(headers.get("port", ""))
        if kind not in ("error", "data") or port is None:
            self._crew.create_task(_quietly(stream.reset()), name="odd stream")
            return
        # Clients before Kubernetes 1.1 number their streams one after the other.
        number = headers.get("requestid") or str(stream.number - 2 * (kind == "data"))
        half = self._halves.setdefault(number, {})
        half[kind] = stream
        if len(half) == 2:
            del self._halves[number]
            self._crew.create_task(
                _quietly(self._carry(half["data"], half["error"], port)), name=f"port {port}"
            )

    async def _carry(self, data: Stream, errors: Stream, port: int) -> None:
        """One connection of the client's, from its beginning to its end."""
        try:
            reader, writer = await self._dial(port)
        except (OSError, ApiError) as error:
            await errors.write(f"error forwarding port {port}: {_why(error)}".encode())
        else:
            try:
                await until_first(_until_the_pod_is_done(reader, data), _say(data, writer))
            finally:
                writer.transport.abort()
        await data.finish()
        await errors.finish()


def _port(text: str) -> int | None:
    return int(text) if text.isdigit() and 0 < int(text[:6]) < 65536 and len(text) < 6 else None


def _why(error: OSError | ApiError) -> str:
    return error.message if isinstance(error, ApiError) else str(error)


async def _quietly(work: Awaitable[None]) -> None:
    """Who has left needs not be told."""
    with contextlib.suppress(ConnectionError):
        await work


async def _until_the_pod_is_done(reader: StreamReader, data: Stream) -> None:
    while piece := await reader.read(_READ_BYTES):
        await data.write(piece)


async def _say(data: Stream, writer: StreamWriter) -> None:
    """Bytes to the pod, and that there are no more; the pod may go on then."""
    while piece := await data.read():
        writer.write(piece)
        await writer.drain()
    writer.write_eof()
    await asyncio.Event().wait()


# ---- by a WebSocket's channels


def _by_channels(
    channels: Channels, ports: Sequence[int], dial: Dial
) -> Callable[[Wire], Awaitable[None]]:
    async def talk(wire: Wire) -> None:
        forwarder = _ChannelForwarder(WebSocket(wire), channels, ports, dial)
        await until_first(forwarder.listen(), forwarder.speak())

    return talk


class _ChannelForwarder:
    """One connection to each port: channel 2i is the i-th port's bytes, 2i + 1 its errors."""

    def __init__(
        self, socket: WebSocket, channels: Channels, ports: Sequence[int], dial: Dial
    ) -> None:
        self._socket = socket
        self._channels = channels
        self._ports = ports
        self._dial = dial
        self._writers: dict[int, StreamWriter] = {}
        self._begun = asyncio.Event()

    async def listen(self) -> None:
        await self._begun.wait()
        while (message := await self._socket.receive()) is not None:
            try:
                channel, data = self._channels.decode(message)
            except BadMessage:
                return
            if (writer := self._writers.get(channel)) is not None:
                writer.write(data)
                await writer.drain()

    async def speak(self) -> None:
        """Return when every port's pod has said all."""
        try:
            readers = [await self._begin(at, port) for at, port in enumerate(self._ports)]
            self._begun.set()
            async with asyncio.TaskGroup() as crew:
                for at, reader in enumerate(readers):
                    if reader is not None:
                        crew.create_task(self._relay(2 * at, reader), name=f"channel {2 * at}")
            await self._socket.close()
        finally:
            for writer in self._writers.values():
                writer.transport.abort()

    async def _begin(self, at: int, port: int) -> StreamReader | None:
        number = port.to_bytes(2, "little")
        await self._send(2 * at, number)
        await self._send(2 * at + 1, number)
        try:
            reader, self._writers[2 * at] = await self._dial(port)
        except (OSError, ApiError) as error:
            await self._send(2 * at + 1, f"error forwarding port {port}: {_why(error)}".encode())
            return None
        return reader

    async def _relay(self, channel: int, reader: StreamReader) -> None:
        while piece := await reader.read(_READ_BYTES):
            await self._send(channel, piece)

    async def _send(self, channel: int, data: bytes) -> None:
        await self._socket.send(self._channels.encode(channel, data), text=self._channels.text)
