"""Live talk with containers: exec, attach and port-forward are relayed to the node as they are, by
WebSocket or SPDY; logs become messages of a WebSocket.

What is checked here and in which order is upstream's (pkg/registry/core/pod/strategy.go
streamLocation, apimachinery util/proxy UpgradeAwareHandler), so the errors are too.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Awaitable, Callable
from urllib.parse import quote, urlencode

import orjson

from longshore.core.objects.errors import (
    ApiError,
    BadRequest,
    InternalError,
    NotFound,
    Unavailable,
)
from longshore.core.objects.kinds import Doc
from longshore.core.registry.admission.attributes import NOTES
from longshore.core.streams.protocols import Answering, Ask, Streams
from longshore.doors.kit import relay, websocket
from longshore.doors.kit.http import Pieces, Request, Takeover, Wire
from longshore.doors.kit.websocket import BadHandshake, WebSocket
from longshore.doors.kubernetes.endings import Listener, Overheard, SocketListener, SpdyListener
from longshore.doors.kubernetes.translate import Target, flag

EXIT_CODE = "longshore.io/exit-code"
"""The audit annotation of how a command ended, where its node said so."""
LOG_PROTOCOLS = ("", "binary.k8s.io", "base64.binary.k8s.io")
# What of a client's request a node has to hear.
_PASSED_ON = (
    "sec-websocket-key", "sec-websocket-version", "sec-websocket-protocol",
    "sec-websocket-extensions", "x-stream-protocol-version",
)  # fmt: skip
_BY_CODE: dict[int, type[ApiError]] = {
    400: BadRequest, 404: NotFound, 500: InternalError,
}  # fmt: skip
# What is read of a node's refusal.
_REFUSAL_MAX_BYTES = 64 * 1024


async def connect(streams: Streams, request: Request, target: Target, pod: Doc) -> Takeover:
    """exec or attach of a pod: its node's WebSocket or SPDY, relayed. Raises ApiError."""
    container = container_of(pod, request.param("container"))
    where = "/".join(map(quote, (target.subresource, target.namespace, target.name, container)))
    return relay.switched(_noted(await _switched(streams, request, pod, where, session_query)))


async def forward(streams: Streams, request: Request, target: Target, pod: Doc) -> Takeover:
    """port-forward of a pod, likewise. Raises ApiError."""
    where = "/".join(map(quote, (target.subresource, target.namespace, target.name)))
    return relay.switched(await _switched(streams, request, pod, where, ports_query))


async def _switched(
    streams: Streams, request: Request, pod: Doc, where: str, query: Callable[[Request], str]
) -> Answering:
    """The node's answer, once it has switched protocols as it was asked to."""
    node = pod["spec"].get("nodeName", "")
    if not node:
        raise BadRequest(f"pod {pod['metadata']['name']} does not have a host assigned")
    if not websocket.is_upgrade(request.headers):
        raise BadRequest("Upgrade request required")
    answer = await streams.ask_node(node, _ask(request, f"/{where}?{query(request)}", node))
    if not answer.switched:
        raise await _refusal(answer)
    return answer


def _noted(answer: Answering) -> Answering:
    """The answer, listened to if somebody keeps an audit log of it."""
    notes = NOTES.get()
    if notes is None:
        return answer
    said = {name.lower(): value for name, value in answer.headers}
    if said.get("upgrade", "").lower() == "websocket":
        listener: Listener = SocketListener(said.get("sec-websocket-protocol", ""))
    else:
        listener = SpdyListener()
    return Overheard(answer, listener, notes, EXIT_CODE)


def session_query(request: Request) -> str:
    """The options as the node's API reads them. Raises BadRequest."""
    wishes = [name for name in ("stdin", "stdout", "stderr", "tty") if flag(request.query, name)]
    if not {"stdin", "stdout", "stderr"} & set(wishes):
        raise BadRequest("you must specify at least 1 of stdin, stdout, stderr")
    if "tty" in wishes and "stderr" in wishes:
        # A terminal has one output (pkg/kubelet: "unsupported option combination" is corrected).
        wishes.remove("stderr")
    pairs = [(name, "1") for name in wishes]
    pairs += [("command", word) for word in request.query.get("command", ())]
    return urlencode(pairs)


def ports_query(request: Request) -> str:
    """The ports that clients without SPDY name beforehand (portforward/websocket.go). Raises
    BadRequest."""
    named = [one for text in request.query.get("ports", ()) for one in text.split(",")]
    for one in named:
        if not (one.isdigit() and 0 < int(one[:6]) < 65536):
            raise BadRequest(f"unable to parse {one!r} as a port: must be from 1 to 65535")
    return urlencode([("ports", one) for one in named])


def _ask(request: Request, path: str, node: str) -> Ask:
    passed = [(name, request.headers[name]) for name in _PASSED_ON if name in request.headers]
    switch = [("Host", node), ("Connection", "Upgrade"), ("Upgrade", request.headers["upgrade"])]
    return Ask("GET", path, [*switch, *passed])


async def _refusal(answer: Answering) -> ApiError:
    try:
        body = b""
        while len(body) < _REFUSAL_MAX_BYTES and (piece := await answer.read()):
            body += piece
        message = str(orjson.loads(body)["message"])
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError):
        message = f"the node answered {answer.status}"
    finally:
        answer.close()
    return _BY_CODE.get(answer.status, Unavailable)(message)


def container_of(pod: Doc, asked: str) -> str:
    """The container to talk to. Raises BadRequest (strategy.go validateContainer)."""
    spec, name = pod["spec"], pod["metadata"]["name"]
    mains = [one["name"] for one in spec.get("containers") or ()]
    others = [
        one["name"]
        for kind in ("initContainers", "ephemeralContainers")
        for one in spec.get(kind) or ()
    ]
    if asked:
        if asked not in mains + others:
            raise BadRequest(f"container {asked} is not valid for pod {name}")
        return asked
    if len(mains) == 1:
        return str(mains[0])
    listed = " ".join(others + mains)
    raise BadRequest(
        f"a container name must be specified for pod {name}, choose one of: [{listed}]"
    )


# --- logs ---


def log_takeover(request: Request, pieces: Pieces) -> Takeover:
    """A log as messages, in binary or in base64 (apimachinery util/httpstream/wsstream). Raises
    BadRequest."""
    try:
        protocol = websocket.negotiate(request.headers, LOG_PROTOCOLS)
        headers = websocket.accept(request.headers, protocol)
    except BadHandshake as error:
        raise BadRequest(str(error)) from None
    return Takeover(_telling(pieces, text=protocol.startswith("base64")), headers)


def _telling(pieces: Pieces, *, text: bool) -> Callable[[Wire], Awaitable[None]]:
    async def talk(wire: Wire) -> None:
        socket = WebSocket(wire, message_max_bytes=64 * 1024)
        await relay.until_first(_tell(socket, pieces, text=text), socket.drain())

    return talk


async def _tell(socket: WebSocket, pieces: Pieces, *, text: bool) -> None:
    async with contextlib.aclosing(pieces):
        async for piece in pieces:
            await _send(socket, piece, text=text)
    await socket.close()


async def _send(socket: WebSocket, piece: bytes, *, text: bool) -> None:
    await socket.send(base64.b64encode(piece) if text else piece, text=text)
