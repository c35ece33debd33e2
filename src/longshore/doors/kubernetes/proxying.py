"""The proxy subresource of pods, services and nodes: one request passed on, its answer streamed.

Where a name leads and how headers are rewritten follows upstream (pkg/registry/core/pod/strategy.go
and service/storage ResourceLocation, apimachinery util/proxy). Links in HTML are not rewritten.
"""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from longshore.base.chance import Chance
from longshore.core.objects import kinds
from longshore.core.objects.errors import BadRequest, NotFound, Unavailable
from longshore.core.objects.kinds import Doc
from longshore.core.streams.protocols import Answering, Ask, Streams
from longshore.core.watch.cache import Cache
from longshore.doors.kit.http import AnyReply, Reply, Request, StreamReply
from longshore.doors.kit.relay import HOP_BY_HOP, switched
from longshore.doors.kit.websocket import is_upgrade
from longshore.doors.kubernetes.translate import Target

NODE_API_PORT = "10250"
_NO_SERVICE = "error trying to reach service: "
# The client's proof of who it is concerns this server alone; the body is sent anew, whole.
_KEPT_BACK = HOP_BY_HOP | {"authorization", "content-length", "expect"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a name leads. An empty host means the API of the node of that name."""

    scheme: str
    host: str
    port: int
    node: str = ""


async def proxy(streams: Streams, request: Request, target: Target, place: Place) -> AnyReply:
    """Pass the request on. Raises Unavailable if nobody answers there."""
    path = path_below(request, target)
    if not path and request.method in ("GET", "HEAD"):
        return _to_root(request)
    ask = _ask(request, path or "/", target)
    try:
        if place.node:
            answer = await streams.ask_node(place.node, ask)
        else:
            answer = await streams.ask_address(place.scheme, place.host, place.port, ask)
    except OSError as error:
        raise Unavailable(f"{_NO_SERVICE}{error or type(error).__name__}") from error
    return switched(answer) if answer.switched else _reply(request, target, answer)


def path_below(request: Request, target: Target) -> str:
    """What follows /proxy, percent-encoded as it came; empty if nothing does."""
    path = request.target.partition("?")[0]
    depth = 8 if target.kind.namespaced else 6
    parts = path.split("/", depth)
    return "/" + parts[depth] if len(parts) > depth else ""


def split_name(target: Target) -> tuple[str, str, str]:
    """(scheme, name, port) of NAME, NAME:PORT or SCHEME:NAME:PORT. Raises BadRequest."""
    scheme, name, port = "", target.name, ""
    match target.name.split(":"):
        case [name, port]:
            pass
        case [scheme, name, port] if scheme in ("", "http", "https"):
            pass
        case [name]:
            pass
        case _:
            name = ""
    if not name:
        raise BadRequest(f'invalid {target.kind.singular} request "{target.name}"')
    return scheme, name, port


# --- where names lead ---


def place_of(cache: Cache, chance: Chance, target: Target) -> Place:
    """Raises BadRequest, NotFound and Unavailable."""
    scheme, name, port = split_name(target)
    doc = cache.get(target.kind, target.namespace, name)
    if doc is None:
        raise NotFound.of(target.kind, name)
    if target.kind is kinds.SERVICE:
        return _of_service(cache, chance, doc, target.name, scheme, port)
    if target.kind is kinds.NODE:
        return _of_node(doc, target.name, scheme, port)
    return _of_pod(doc, target.name, scheme, port)


def _of_pod(pod: Doc, asked: str, scheme: str, port: str) -> Place:
    if not port:
        declared = (
            str(one["containerPort"])
            for container in pod["spec"].get("containers") or ()
            for one in container.get("ports") or ()
        )
        port = next(declared, "")
    address = (pod.get("status") or {}).get("podIP") or ""
    return Place(scheme, _allowed(address), _number(port, scheme, "pod", asked))


def _of_node(node: Doc, asked: str, scheme: str, port: str) -> Place:
    if port in ("", NODE_API_PORT):
        return Place("https", "", int(NODE_API_PORT), node=node["metadata"]["name"])
    addresses = (node.get("status") or {}).get("addresses") or ()
    internal = (str(one["address"]) for one in addresses if one["type"] == "InternalIP")
    return Place(scheme, _allowed(next(internal, "")), _number(port, scheme, "node", asked))


def _of_service(
    cache: Cache, chance: Chance, service: Doc, asked: str, scheme: str, port: str
) -> Place:
    name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
    wanted = _port_name(service, port)
    slices = cache.indexed(kinds.ENDPOINT_SLICE, "service", f"{namespace}/{name}")
    found = [
        (address, int(one["port"]))
        for piece in slices
        for one in piece.get("ports") or ()
        if (one.get("name") or "") == wanted and one.get("port")
        for endpoint in piece.get("endpoints") or ()
        if (endpoint.get("conditions") or {}).get("ready") is not False
        for address in endpoint["addresses"][:1]
    ]
    if not found:
        raise Unavailable(f'no endpoints available for service "{asked}"')
    host, number = chance.choice(found)
    return Place(scheme, _allowed(host), number)


def _port_name(service: Doc, port: str) -> str:
    """A service's port may be given by name or number; without one it is its only one's."""
    ports = service["spec"].get("ports") or []
    if not port and len(ports) == 1:
        return str(ports[0].get("name") or "")
    if not port.isdecimal():
        return port
    for one in ports:
        if str(one["port"]) == port:
            return str(one.get("name") or "")
    name = service["metadata"]["name"]
    raise Unavailable(f'no service port {port} found for service "{name}"')


def _number(port: str, scheme: str, what: str, asked: str) -> int:
    if not port:
        return 443 if scheme == "https" else 80
    if not (port.isascii() and port.isdecimal() and 0 < int(port[:6]) < 65536):
        raise BadRequest(f'invalid {what} request "{asked}"')
    return int(port)


def _allowed(address: str) -> str:
    """A cluster's objects must not lead to the server's own loopback or the links around it."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        raise BadRequest("address not allowed") from None
    if ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified:
        raise BadRequest("address not allowed")
    return address


# --- headers and answers ---


def _to_root(request: Request) -> Reply:
    """/proxy itself is a folder, which relative links need to see."""
    path, mark, query = request.target.partition("?")
    return Reply(301, b"", "", {"Location": f"{path}/{mark}{query}"})


def _ask(request: Request, path: str, target: Target) -> Ask:
    _, mark, query = request.target.partition("?")
    headers = [(name, value) for name, value in request.headers.items() if _goes_on(name, request)]
    headers += [
        ("X-Forwarded-Uri", _prefix(target) + path),
        ("X-Forwarded-Host", request.headers.get("host", "")),
        ("X-Forwarded-Proto", "https"),
    ]
    if "host" not in request.headers:
        headers.append(("Host", target.name))
    if is_upgrade(request.headers):
        headers += [("Connection", "Upgrade"), ("Upgrade", request.headers["upgrade"])]
    elif request.body or request.method in ("POST", "PUT", "PATCH"):
        headers.append(("Content-Length", str(len(request.body))))
    return Ask(request.method, path + mark + query, headers, request.body)


def _goes_on(name: str, request: Request) -> bool:
    """Neither what belongs to this connection (its own list of such headers counts too), nor
    credentials, nor what a client may not say of itself."""
    if name in _KEPT_BACK or name.startswith(("impersonate-", "x-forwarded-", "x-remote-")):
        return False
    named = request.headers.get("connection", "").lower().split(",")
    return name not in {one.strip() for one in named}


def _prefix(target: Target) -> str:
    where = f"/namespaces/{target.namespace}" if target.namespace else ""
    return f"/api/v1{where}/{target.kind.plural}/{target.name}/proxy"


def _reply(request: Request, target: Target, answer: Answering) -> StreamReply:
    headers: dict[str, str] = {}
    repeated: list[tuple[str, str]] = []
    content_type, length = "", None
    for name, value in answer.headers:
        lower = name.lower()
        if lower in HOP_BY_HOP or lower == "date":
            continue
        if lower == "content-type":
            content_type = value
        elif lower == "content-length":
            length = int(value) if value.isdecimal() else None
        elif lower == "location":
            headers["Location"] = moved(value, request.headers.get("host", ""), _prefix(target))
        else:
            repeated.append((name, value))
    return StreamReply(_Body(answer), answer.status, content_type, headers, length, tuple(repeated))


def moved(location: str, host: str, prefix: str) -> str:
    """A redirect as the client must follow it: paths of the backend's own lie below prefix;
    other hosts and relative paths stay as they are (util/proxy Transport.rewriteURL)."""
    url = urlsplit(location)
    if (url.netloc and url.netloc != host) or not url.path.startswith("/"):
        return location
    path = url.path if url.path.startswith(prefix) else prefix + url.path
    return urlunsplit(("https" if host else "", host, path, url.query, url.fragment))


class _Body:
    """An answer's pieces. Not a generator: one that was never begun (HEAD) would close nothing."""

    def __init__(self, answer: Answering) -> None:
        self._answer = answer

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if piece := await self._answer.read():
            return piece
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self._answer.close()
