"""HTTP/1.1 on the wire: heads and chunks as bytes. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import TypeAlias

Data: TypeAlias = bytes | memoryview
CRLF = b"\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CLOSE = b"Connection: close\r\n"
# RFC 9110: these never have a body, so no Content-Length either.
BODILESS = frozenset((101, 204, 304))


@lru_cache(maxsize=256)
def _start(status: int, content_type: str) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Status"
    line = f"HTTP/1.1 {status} {phrase}\r\n"
    if content_type and status not in BODILESS:
        line += f"Content-Type: {content_type}\r\n"
    return line.encode("ascii")


def date_line(seconds: float) -> bytes:
    return b"Date: " + formatdate(int(seconds), usegmt=True).encode() + b"\r\n"


def head(status: int, content_type: str, headers: Mapping[str, str], *framing: bytes) -> bytes:
    """A reply's head. framing holds whole header lines. ValueError if a header would break out of
    its line: values may carry a caller's words."""
    start = _start(status, content_type)
    if not headers:
        return b"".join((start, *framing, b"\r\n"))
    return b"".join((start, lines(headers.items()), *framing, b"\r\n"))


def lines(headers: Collection[tuple[str, str]]) -> bytes:
    """Header lines, repeats and all. ValueError as for head()."""
    text = "".join([f"{name}: {value}\r\n" for name, value in headers])
    if not text.count("\r") == text.count("\n") == len(headers) or "\0" in text:
        raise ValueError(f"a header holds a line break: {text!r:.200}")
    return text.encode()


def length(size: int) -> bytes:
    return b"Content-Length: %d\r\n" % size


def framing(size: int | None, chunks: bool) -> bytes:
    """How a streamed body's end is known: by its size, by a last chunk, or by the close."""
    if size is not None:
        return length(size)
    return CHUNKED if chunks else b""


def chunk_size(piece: Data) -> bytes:
    """What goes before a chunk; CRLF goes behind it."""
    return b"%x\r\n" % len(piece)


def chunk(piece: bytes) -> bytes:
    """One chunk of a body; an empty piece would end it, so it is none."""
    return b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""
