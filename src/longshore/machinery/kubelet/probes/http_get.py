"""The GET requests of probes and hooks (pkg/probe/http/request.go and http.go, net/http's client).

They ask about health and not identity, so certificates are not verified. A redirect is followed as long as
it stays on its host.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from longshore.base.version import KUBERNETES_VERSION
from longshore.core.objects.kinds import Doc
from longshore.machinery.network.errors import unreached

_RELEASE = ".".join(KUBERNETES_VERSION.removeprefix("v").split(".")[:2])
_REDIRECTS, _REQUESTS_MAX = frozenset((301, 302, 303, 307, 308)), 10
_BODY_MAX_BYTES, _HEADERS_MAX = 10 * 1024, 256
# What frames a request is the client's own to say.
_FRAMING = frozenset(("Host", "User-Agent", "Content-Length", "Transfer-Encoding", "Trailer"))
# OpenSSL's words, of its versions to 3.1 and from 3.2 on, for an answer in plain HTTP.
_NOT_TLS = frozenset(("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"))

Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """The last one, after redirects. body has its beginning, where it leads elsewhere."""

    code: int
    location: str = ""
    body: str = ""


class Unanswered(Exception):
    """Nobody answered, or not in HTTP; the text is Go's client's."""


class PlainAnswer(Unanswered):
    """A server without TLS was asked with it."""


def agent_of(purpose: str) -> str:
    """The User-Agent of probes ("probe") and hooks ("lifecycle")."""
    return f"kube-{purpose}/{_RELEASE}"


def url_of(doc: Doc, host: str, port: int) -> str:
    """That an httpGet handler asks."""
    path, scheme = doc.get("path") or "/", doc.get("scheme") or "HTTP"
    return f"{scheme.lower()}://{address(host, port)}{path if path.startswith('/') else f'/{path}'}"


def address(host: str, port: int) -> str:
    """Host and port in one, as Go's net.JoinHostPort writes them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def headers_of(doc: Doc, purpose: str) -> Headers:
    """Those that an httpGet handler names, and of User-Agent and Accept, what it does not."""
    given = [(_canonical(one["name"]), one["value"]) for one in doc.get("httpHeaders") or []]
    if _first(given, "User-Agent") is None:
        given.append(("User-Agent", agent_of(purpose)))
    accept = _first(given, "Accept")
    if accept is None:
        return [*given, ("Accept", "*/*")]
    return given if accept else [one for one in given if one[0] != "Accept"]


def _canonical(name: str) -> str:
    return "-".join(part.capitalize() for part in name.split("-"))


def _first(headers: Headers, name: str) -> str | None:
    return next((value for known, value in headers if known == name), None)


async def http_get(url: str, headers: Headers) -> Answer:
    """Raises Unanswered; ValueError for what is no request."""
    for _ in range(_REQUESTS_MAX):
        asked = urlsplit(url)
        answer = await _answer(asked, headers)
        if answer.code not in _REDIRECTS or not answer.location:
            return answer
        url = urljoin(url, answer.location)
        if urlsplit(url).hostname != asked.hostname:
            return answer
    raise Unanswered(f'Get "{url}": stopped after {_REQUESTS_MAX} redirects')


async def _answer(url: SplitResult, headers: Headers) -> Answer:
    if url.scheme not in ("http", "https"):
        raise Unanswered(f'Get "{url.geturl()}": unsupported protocol scheme "{url.scheme}"')
    host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
    try:
        answer = await _exchanged(host, port, url, headers)
    except ConnectionResetError as error:
        why = f"read tcp {address(host, port)}: read: connection reset by peer"
        raise Unanswered(f'Get "{url.geturl()}": {why}') from error
    except ssl.SSLError as error:
        if error.reason in _NOT_TLS:
            why = "http: server gave HTTP response to HTTPS client"
            raise PlainAnswer(f'Get "{url.geturl()}": {why}') from error
        raise Unanswered(f'Get "{url.geturl()}": {unreached(error, host, port)}') from error
    except OSError as error:
        raise Unanswered(f'Get "{url.geturl()}": {unreached(error, host, port)}') from error
    if answer is None:
        raise Unanswered(f'Get "{url.geturl()}": EOF')
    return answer


async def _exchanged(host: str, port: int, url: SplitResult, headers: Headers) -> Answer | None:
    """None if the server says nothing."""
    request = _request(url, headers)
    tls = _unverified() if url.scheme == "https" else None
    reader, writer = await asyncio.open_connection(host, port, ssl=tls)
    try:
        writer.write(request)
        line = (await reader.readline()).decode("latin-1")
        return await _read(line, reader) if line else None
    finally:
        writer.close()


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(
        ssl.PROTOCOL_TLS_CLIENT
    )  # without the authorities, which take a moment to read
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _request(url: SplitResult, headers: Headers) -> bytes:
    lines = list(_lines(url, headers))
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a line break in the path or a header of an httpGet handler")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _lines(url: SplitResult, headers: Headers) -> Iterator[str]:
    target = quote(url.path or "/", safe="/%:@!$&'()*+,;=") + (f"?{url.query}" if url.query else "")
    yield f"GET {target} HTTP/1.1"
    yield f"Host: {_first(headers, 'Host') or url.netloc}"
    if agent := _first(headers, "User-Agent"):
        yield f"User-Agent: {agent}"
    yield from (f"{name}: {value}" for name, value in headers if name not in _FRAMING)
    yield "Connection: close"


async def _read(line: str, reader: asyncio.StreamReader) -> Answer:
    """Given the first line. Of a body, only what a redirect says."""
    code = _status_code(line)
    if code not in _REDIRECTS:
        return Answer(code)
    told = await _header_fields(reader)
    size = told.get("content-length", "")
    length = min(int(size), _BODY_MAX_BYTES) if size.isdigit() else 0
    body = await reader.read(length) if length else b""
    return Answer(code, told.get("location", ""), body.decode(errors="replace"))


async def _header_fields(reader: asyncio.StreamReader) -> dict[str, str]:
    fields: dict[str, str] = {}
    for _ in range(_HEADERS_MAX):
        name, _, value = (await reader.readline()).decode("latin-1").partition(":")
        if not name.strip():
            break
        fields[name.strip().lower()] = value.strip()
    return fields


def _status_code(line: str) -> int:
    match line.split(" ", 2):
        case [version, code, *_] if version.startswith("HTTP/") and code.strip().isdigit():
            return int(code)
    raise ValueError(f"malformed HTTP response {line[:80]!r}")
