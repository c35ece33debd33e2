"""How a command ended that somebody ran in a container: overheard while its bytes are relayed.

What is read is the remote command protocol: of a WebSocket what nodes send, unmasked frames (RFC 6455,
section 5.2), of SPDY the stream that the client opened for errors. Its bytes go on as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import orjson

from longshore.core.streams.protocols import Answering
from longshore.core.streams.spdy.frames import BadFrame, Data, Decoder, Frame, Open
from longshore.doors.kit.channels import ERROR, PROTOCOLS, BadMessage

# What is kept of the message that tells the end.
_KEPT_MAX_BYTES = 64 * 1024
_CONTROL = 8
_DIGITS_MAX = 10


class Listener(Protocol):
    """Follows one connection."""

    def hear(self, data: bytes) -> None:
        """What the node says."""

    def overhear(self, data: bytes) -> None:
        """What the client says."""

    @property
    def exit_code(self) -> str:
        """Empty if the node did not say."""


class SocketListener:
    """Follows the frames of a WebSocket and keeps what the error channel said last."""

    def __init__(self, protocol: str) -> None:
        self._channels = PROTOCOLS.get(protocol, PROTOCOLS[""])
        self._head = b""
        self._left = 0
        self._control = False
        # Whether the message at hand is the error channel's; None where its first byte is to come.
        self._concerns: bool | None = None
        self._kept = bytearray()

    def overhear(self, data: bytes) -> None: ...

    def hear(self, data: bytes) -> None:
        while data:
            if not self._left:
                data = self._begin(data)
                continue
            piece, data = data[: self._left], data[self._left :]
            self._left -= len(piece)
            if not self._control:
                self._take(piece)

    def _begin(self, data: bytes) -> bytes:
        """Read a frame's head as far as it is there; what follows it."""
        head = self._head + data
        size = 2 if len(head) < 2 else {126: 4, 127: 10}.get(head[1] & 127, 2)
        if len(head) < size:
            self._head = head
            return b""
        self._head, short = b"", head[1] & 127
        self._left = int.from_bytes(head[2:size], "big") if size > 2 else short
        opcode = head[0] & 15
        self._control = opcode >= _CONTROL
        if opcode and not self._control:
            self._concerns = None
        return head[size:]

    def _take(self, piece: bytes) -> None:
        if self._concerns is None:
            self._concerns = piece[0] == (ord(str(ERROR)) if self._channels.text else ERROR)
            if self._concerns:
                self._kept.clear()
        if self._concerns:
            self._kept += piece[: _KEPT_MAX_BYTES - len(self._kept)]

    @property
    def exit_code(self) -> str:
        if not self._kept or not self._channels.statuses:
            return ""
        try:
            return _code(orjson.loads(self._channels.decode(bytes(self._kept))[1]))
        except (BadMessage, orjson.JSONDecodeError):
            return ""


class SpdyListener:
    """Follows the streams of SPDY and keeps what was said on the one for errors. Of bytes that are no
    frames nothing is known from there on."""

    def __init__(self) -> None:
        self._client, self._node = Decoder(), Decoder()
        self._errors = 0
        self._kept = bytearray()
        self._lost = False

    def overhear(self, data: bytes) -> None:
        for frame in self._frames(self._client, data):
            if isinstance(frame, Open) and frame.headers.get("streamtype") == "error":
                self._errors = frame.stream

    def hear(self, data: bytes) -> None:
        for frame in self._frames(self._node, data):
            if isinstance(frame, Data) and frame.stream == self._errors:
                self._kept += frame.data[: _KEPT_MAX_BYTES - len(self._kept)]

    def _frames(self, decoder: Decoder, data: bytes) -> Iterator[Frame]:
        try:
            if not self._lost:
                yield from decoder.feed(data)
        except BadFrame:
            self._lost = True

    @property
    def exit_code(self) -> str:
        try:
            return _code(orjson.loads(self._kept)) if self._kept else ""
        except orjson.JSONDecodeError:
            return ""


def _code(status: Any) -> str:
    if not isinstance(status, dict):
        return ""
    if status.get("status") == "Success":
        return "0"
    details = status.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    for cause in causes if isinstance(causes, list) else ():
        code = cause.get("message") if isinstance(cause, dict) else None
        if isinstance(code, str) and code.isdigit() and len(code) <= _DIGITS_MAX:
            return code
    return ""


class Overheard:
    """A node's answer as it is, whose end is noted when it is closed."""

    def __init__(
        self, answer: Answering, listener: Listener, notes: dict[str, str], key: str
    ) -> None:
        self.status, self.headers, self.switched = answer.status, answer.headers, answer.switched
        self._answer = answer
        self._listener = listener
        self._notes, self._key = notes, key

    async def read(self) -> bytes:
        data = await self._answer.read()
        self._listener.hear(data)
        return data

    async def write(self, data: bytes) -> None:
        self._listener.overhear(data)
        await self._answer.write(data)

    def close(self) -> None:
        self._answer.close()
        if code := self._listener.exit_code:
            self._notes[self._key] = code
