"""SPDY/3.1's frames: bytes in, frames out, and back. Pure; one Decoder and one Encoder a connection,
since headers are compressed with what went before.

Facts: draft-mbelshe-httpbis-spdy-00, sections 2.2 and 2.6.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from longshore.core.streams.spdy.dictionary import DICTIONARY

VERSION: Final = 3
SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = (
    1, 2, 3, 4, 6, 7, 8, 9,
)  # fmt: skip
FIN = 0x01
# Statuses of RST_STREAM.
PROTOCOL_ERROR, INVALID_STREAM, REFUSED_STREAM, CANCEL, INTERNAL_ERROR = 1, 2, 3, 5, 6
# What one frame may carry. Clients copy in pieces of 32 KiB; twice as much is what a proxy may join.
FRAME_MAX_BYTES = 1024 * 1024
# What the headers of a stream may be, unpacked: a few short ones.
HEADERS_MAX_BYTES = 16 * 1024
_ID_MASK = 0x7FFF_FFFF
_CONTROL = 0x80

Headers: TypeAlias = Mapping[str, str]


class BadFrame(Exception):
    """Bytes that are no frame, or one that is larger than any client's; the message says why."""


@dataclass(frozen=True, slots=True)
class Data:
    """Bytes of a stream; fin: its sender says no more on it."""

    stream: int
    data: bytes
    fin: bool = False


@dataclass(frozen=True, slots=True)
class Open:
    """SYN_STREAM: its sender begins a stream."""

    stream: int
    headers: Headers
    fin: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """SYN_REPLY, or HEADERS, of a stream."""

    stream: int
    headers: Headers
    fin: bool = False


@dataclass(frozen=True, slots=True)
class Reset:
    stream: int
    status: int = CANCEL


@dataclass(frozen=True, slots=True)
class Ping:
    number: int


@dataclass(frozen=True, slots=True)
class GoAway:
    """No more streams are begun."""

    last: int
    status: int = 0


Frame: TypeAlias = Data | Open | Opened | Reset | Ping | GoAway


class Decoder:
    """Frames of what arrives. What needs no answer here (SETTINGS, WINDOW_UPDATE, unknown kinds) is
    left out: clients of Kubernetes neither give nor heed windows."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are whole now. Raises BadFrame; nothing more can be read after that."""
        self._held += data
        while len(self._held) >= 8:
            first, second = struct.unpack_from(">II", self._held)
            flags, length = second >> 24, second & 0xFF_FFFF
            if length > FRAME_MAX_BYTES:
                raise BadFrame(f"a frame of {length} bytes, more than {FRAME_MAX_BYTES}")
            if len(self._held) < 8 + length:
                return
            body = bytes(self._held[8 : 8 + length])
            del self._held[: 8 + length]
            if not (first >> 24) & _CONTROL:
                yield Data(_id(first), body, bool(flags & FIN))
            elif (frame := self._control(first, flags, body)) is not None:
                yield frame

    def _control(self, first: int, flags: int, body: bytes) -> Frame | None:
        version, kind = (first >> 16) & 0x7FFF, first & 0xFFFF
        if version != VERSION:
            raise BadFrame(f"a frame of version {version}: only version {VERSION} is spoken")
        fin = bool(flags & FIN)
        try:
            match kind:
                case 1:  # SYN_STREAM: the stream it belongs to, priority and slot say nothing here
                    return Open(_id(_number(body)), self._headers(body[10:]), fin)
                case 2 | 8:
                    return Opened(_id(_number(body)), self._headers(body[4:]), fin)
                case 3:
                    return Reset(_id(_number(body)), _number(body, 4))
                case 6:
                    return Ping(_number(body))
                case 7:
                    return GoAway(_id(_number(body)), _number(body, 4))
        except (struct.error, zlib.error) as error:
            raise BadFrame(f"a malformed frame of type {kind}: {error}") from None
        return None

    def _headers(self, packed: bytes) -> Headers:
        """Names (lower-case) with their values; several values of one name are joined by commas."""
        block = self._inflate.decompress(packed, HEADERS_MAX_BYTES + 1)
        if len(block) > HEADERS_MAX_BYTES or self._inflate.unconsumed_tail:
            raise BadFrame(f"headers of more than {HEADERS_MAX_BYTES} bytes")
        headers, at = {}, 4
        for _ in range(_number(block)):
            name, at = _text(block, at)
            value, at = _text(block, at)
            headers[name.lower()] = ", ".join(value.split("\0"))
        return headers


def _id(number: int) -> int:
    return number & _ID_MASK


def _number(data: bytes, at: int = 0) -> int:
    found: int = struct.unpack_from(">I", data, at)[0]
    return found


def _text(block: bytes, at: int) -> tuple[str, int]:
    end = at + 4 + _number(block, at)
    if end > len(block):
        raise BadFrame("headers that end within a word")
    return block[at + 4 : end].decode("latin-1"), end


class Encoder:
    """Bytes of frames."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def encode(self, frame: Frame) -> bytes:
        match frame:
            case Data(stream, data, fin):
                return struct.pack(">II", stream, (fin << 24) | len(data)) + data
            case Open(stream, headers, fin):
                body = struct.pack(">IIH", stream, 0, 0) + self._packed(headers)
                return _control(SYN_STREAM, body, fin)
            case Opened(stream, headers, fin):
                body = struct.pack(">I", stream) + self._packed(headers)
                return _control(SYN_REPLY, body, fin)
            case Reset(stream, status):
                return _control(RST_STREAM, struct.pack(">II", stream, status))
            case Ping(number):
                return _control(PING, struct.pack(">I", number))
            case GoAway(last, status):
                return _control(GOAWAY, struct.pack(">II", last, status))

    def _packed(self, headers: Headers) -> bytes:
        words = [word.encode("latin-1") for pair in headers.items() for word in pair]
        block = struct.pack(">I", len(headers)) + b"".join(
            struct.pack(">I", len(word)) + word for word in words
        )
        return self._deflate.compress(block) + self._deflate.flush(zlib.Z_SYNC_FLUSH)


def _control(kind: int, body: bytes, fin: bool = False) -> bytes:
    first = (_CONTROL << 24) | (VERSION << 16) | kind
    return struct.pack(">II", first, (fin << 24) | len(body)) + body
