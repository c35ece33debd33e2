"""WebSocket (RFC 6455) on a connection that was handed over: the handshake, messages, a good end.

Framing is wsproto's; what is ours is the bounds, answered pings and the negotiation of a protocol.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from longshore.doors.kit.http import Wire

NORMAL, GOING_AWAY, TOO_BIG = 1000, 1001, 1009
# The largest message that upstream's servers take (golang.org/x/net/websocket).
MESSAGE_MAX_BYTES = 32 * 1024 * 1024
# RFC 6455, section 1.3: what a server adds to the client's key.
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class BadHandshake(Exception):
    """The request does not open a WebSocket that is served; the message says why."""


def is_upgrade(headers: Mapping[str, str]) -> bool:
    """Whether a request asks to switch protocols, to whichever (names are lower-case)."""
    wishes = {word.strip().lower() for word in headers.get("connection", "").split(",")}
    return "upgrade" in wishes and bool(headers.get("upgrade"))


def is_websocket(headers: Mapping[str, str]) -> bool:
    return is_upgrade(headers) and headers["upgrade"].strip().lower() == "websocket"


def negotiate(headers: Mapping[str, str], served: Sequence[str]) -> str:
    """The first of the client's protocols that is served; empty if it names none and "" is served.
    Raises BadHandshake."""
    offered = [one.strip() for one in headers.get("sec-websocket-protocol", "").split(",")]
    for protocol in offered:
        if protocol in served:
            return protocol
    raise BadHandshake(
        "unable to upgrade: unable to negotiate protocol: "
        f"client supports [{' '.join(offered)}], server accepts [{' '.join(filter(None, served))}]"
    )


def accept(headers: Mapping[str, str], protocol: str) -> dict[str, str]:
    """The headers of a 101 that opens the WebSocket. Raises BadHandshake."""
    if headers.get("sec-websocket-version", "") != "13":
        raise BadHandshake("only version 13 of the WebSocket protocol is served")
    answer = {"Upgrade": "websocket", "Sec-WebSocket-Accept": _proof(headers)}
    if protocol:
        answer["Sec-WebSocket-Protocol"] = protocol
    return answer


def _proof(headers: Mapping[str, str]) -> str:
    key = headers.get("sec-websocket-key", "").strip()
    try:
        proper = len(base64.b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        proper = False
    if not proper:
        raise BadHandshake("Sec-WebSocket-Key must be 16 bytes in base64")
    digest = hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


class WebSocket:
    """An open WebSocket, the server's side or the client's. One task receives; any may send."""

    def __init__(
        self, wire: Wire, *, message_max_bytes: int = MESSAGE_MAX_BYTES, client: bool = False
    ) -> None:
        from wsproto.connection import Connection, ConnectionType

        self._wire = wire
        self._most = message_max_bytes
        self._frames = Connection(ConnectionType.CLIENT if client else ConnectionType.SERVER)
        self._held: list[bytes] = []
        self._size = 0
        self._ready: list[bytes] = []
        self._ended = self._closing = False

    async def receive(self) -> bytes | None:
        """The next message, text as UTF-8; None once the other side has closed, or broke a rule
        (then it has been told so). Raises ConnectionError if it leaves without a word."""
        while not self._ready:
            if self._ended:
                return None
            await self._take(await self._wire.read())
        return self._ready.pop(0)

    async def send(self, data: bytes, *, text: bool = False) -> None:
        """One message; nothing once either side is closing."""
        await self.send_all((data,), text=text)

    async def send_all(self, messages: Iterable[bytes], *, text: bool = False) -> None:
        """Several messages in one write; nothing once either side is closing."""
        from wsproto.events import BytesMessage, TextMessage

        if not (self._ended or self._closing):
            events = (TextMessage(m.decode()) if text else BytesMessage(m) for m in messages)
            await self._wire.write(b"".join(map(self._frames.send, events)))

    async def drain(self) -> None:
        """Drop what the other side says, until its goodbye."""
        while await self.receive() is not None:
            pass

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Say goodbye; receive() goes on until the other side has answered."""
        from wsproto.events import CloseConnection

        if not (self._ended or self._closing):
            self._closing = True
            await self._wire.write(self._frames.send(CloseConnection(code, reason)))

    async def _take(self, data: bytes) -> None:
        from wsproto.utilities import RemoteProtocolError

        self._frames.receive_data(data)
        try:
            for event in self._frames.events():
                await self._on(event)
                if self._ended:
                    return
        except RemoteProtocolError as error:
            await self._break_off(int(getattr(error.event_hint, "code", 1002)), str(error))

    async def _on(self, event: Any) -> None:
        from wsproto.events import CloseConnection, Message, Ping

        if isinstance(event, Message):
            await self._gather(event)
        elif isinstance(event, Ping) and not self._closing:
            await self._wire.write(self._frames.send(event.response()))
        elif isinstance(event, CloseConnection):
            self._ended = True
            if not self._closing:
                await self._wire.write(self._frames.send(event.response()))

    async def _gather(self, part: Any) -> None:
        data = part.data.encode() if isinstance(part.data, str) else bytes(part.data)
        self._size += len(data)
        if self._size > self._most:
            await self._break_off(TOO_BIG, f"a message is larger than {self._most} bytes")
            return
        self._held.append(data)
        if part.message_finished:
            self._ready.append(b"".join(self._held))
            self._held, self._size = [], 0

    async def _break_off(self, code: int, reason: str) -> None:
        await self.close(code, reason[:120])
        self._ended = True
