"""Bytes in, requests out, within bounds. Pure: no transport and no clock, so it can be fuzzed.

The grammar is llhttp's (httptools); what is ours is the bounds, and what a request is.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPMethod
from urllib.parse import parse_qs, unquote

import httptools

from longshore.base.remembering import remembered
from longshore.base.users import User
from longshore.doors.kit.http import Request

# A chunked body may come in many small chunks: this many bytes on the wire for one of the body.
_CHUNK_OVERHEAD = 8
# No client sends nearly as many headers; Go's and llhttp's users bound them likewise.
_HEADERS_MAX = 256


class Refused(Exception):
    """The bytes are no request that is served: answer with status, then close."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(slots=True)
class Incoming:
    """A request and how to answer it. chunks: the client understands chunked replies (1.1)."""

    request: Request
    keep_alive: bool
    chunks: bool


class RequestReader:
    """Feed it what arrives; finished requests gather in ready, in order, their bodies held_bytes
    large.

    upgraded is None until a request asked to switch protocols: then the bytes that followed it,
    and nothing is read as HTTP any more. user and peer are given to every request.
    """

    def __init__(self, head_max_bytes: int, body_max_bytes: int) -> None:
        self.user: User | None = None
        self.peer = ""
        self.ready: deque[Incoming] = deque()
        self.held_bytes = 0
        self.upgraded: bytes | None = None
        self.wants_continue = False
        self.partial = False
        self._head_max = head_max_bytes
        self._body_max = body_max_bytes
        self._parser = httptools.HttpRequestParser(self)
        self._in_head = True
        self._fed = 0
        self._begin()

    def next(self) -> Incoming:
        """The first of what is ready."""
        incoming = self.ready.popleft()
        self.held_bytes -= len(incoming.request.body)
        return incoming

    def feed(self, data: bytes | memoryview) -> None:
        """Keeps nothing of data itself. Raises Refused; nothing more may be fed then."""
        if self.upgraded is not None:
            self.upgraded += bytes(data)
            return
        before = len(self.ready)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self.upgraded = bytes(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as error:
            raise error.__context__ if isinstance(error.__context__, Refused) else error  # noqa: B904
        except httptools.HttpParserInvalidMethodError as error:
            raise _strange_method(bytes(data), error) from error
        except httptools.HttpParserError as error:
            raise Refused(400, f"malformed request: {error}") from error
        if self.partial:
            self._bound(len(data), fresh=len(self.ready) > before)

    def _bound(self, size: int, *, fresh: bool) -> None:
        """Bound what the parser itself holds back: an endless header, chunk or trailer."""
        self._fed = 0 if fresh else self._fed + size
        most = self._head_max
        if not self._in_head:
            most += self._body_max * _CHUNK_OVERHEAD
        if self._fed > most:
            raise Refused(431, f"the request's head is larger than {self._head_max} bytes")

    # What httptools calls, in this order.

    def on_message_begin(self) -> None:
        self._begin()
        self.partial = True

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_size += len(name) + len(value) + 4
        self._header_count += 1
        if self._head_size > self._head_max or self._header_count > _HEADERS_MAX:
            raise Refused(431, f"the request's head is larger than {self._head_max} bytes")
        if not self._in_head:
            # A trailer: whoever is before us has seen to the head alone (RFC 9110, 6.5.1).
            return
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        if key in self._headers:
            first = self._headers[key]
            self._repeated.setdefault(key, [first]).append(text)
            text = f"{first}, {text}"
        self._headers[key] = text

    def on_headers_complete(self) -> None:
        self._in_head = False
        if "transfer-encoding" in self._headers:
            self._check_coding(self._headers["transfer-encoding"])
        declared = self._headers.get("content-length", "")
        if declared.isdigit() and int(declared) > self._body_max:
            raise self._too_large()
        if "expect" in self._headers and self._parser.get_http_version() != "1.0":
            # Whoever waits for another answer than 100 would wait for ever.
            if self._headers["expect"].lower() != "100-continue":
                raise Refused(417, "of what may be expected, only 100-continue is known")
            self.wants_continue = True

    def _check_coding(self, coding: str) -> None:
        """Where two programs may differ about where a body ends, none is read (RFC 9112, 6.1)."""
        if coding.lower() != "chunked":
            raise Refused(501, "of transfer encodings, only chunked is known")
        if self._parser.get_http_version() == "1.0":
            raise Refused(400, "malformed request: HTTP/1.0 knows no Transfer-Encoding")

    def on_body(self, body: bytes) -> None:
        self._body_size += len(body)
        if self._body_size > self._body_max:
            raise self._too_large()
        self._body.append(body)

    def on_message_complete(self) -> None:
        parser = self._parser
        pieces = self._body
        target, path, query = split_url(self._url)
        request = Request(
            parser.get_method().decode("ascii"), path, query, self._headers,
            pieces[0] if len(pieces) == 1 else b"".join(pieces), self.user, target,
            self._repeated, self.peer,
        )  # fmt: skip
        chunks = parser.get_http_version() != "1.0"
        self.ready.append(Incoming(request, parser.should_keep_alive(), chunks))
        self.held_bytes += self._body_size
        self._body.clear()
        self.partial = self.wants_continue = False
        self._in_head = True

    def _begin(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._repeated: dict[str, list[str]] = {}
        self._body: list[bytes] = []
        self._head_size = self._header_count = self._body_size = self._fed = 0
        self._in_head = True

    def _too_large(self) -> Refused:
        return Refused(413, f"Request entity too large: limit is {self._body_max}")


_REQUEST_LINE = re.compile(rb"(?m)^([A-Z-]+) [^ ]+ HTTP/1\.[01]\r?$")
_METHODS = frozenset(method.value.encode() for method in HTTPMethod)


def _strange_method(data: bytes, error: httptools.HttpParserError) -> Refused:
    """A request with a method that the parser does not know is one nevertheless."""
    if any(method not in _METHODS for method in _REQUEST_LINE.findall(data)):
        return Refused(405, "the server does not allow this method on the requested resource")
    return Refused(400, f"malformed request: {error}")


def split_url(url: bytes) -> tuple[str, str, Mapping[str, list[str]]]:
    """A request's target, in origin form whichever it came in, its decoded path and its query."""
    try:
        target = url.decode("ascii")
    except UnicodeDecodeError:
        raise Refused(400, "the request's target is not ASCII") from None
    if not target.startswith("/"):
        _, _, rest = target.partition("://")
        target = rest[rest.find("/") :] if "/" in rest else "/"
    path, mark, query = target.partition("?")
    if "%" in path:
        path = unquote(path)
    return target, path, _query(query) if mark else _NO_QUERY


_NO_QUERY: Mapping[str, list[str]] = {}


@remembered(2048)
def _query(text: str) -> Mapping[str, list[str]]:
    try:
        return parse_qs(text, keep_blank_values=True, max_num_fields=256)
    except ValueError as error:
        raise Refused(400, f"malformed query: {error}") from error
