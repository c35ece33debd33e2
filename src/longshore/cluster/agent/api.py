"""What a node's agent answers over HTTP: containers' logs, commands in them, to the server alone."""

from __future__ import annotations

from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import Protocol

import orjson

from longshore.base.users import SERVERS
from longshore.cluster.agent.access import NodeAccess
from longshore.cluster.agent.stats import Statistics, told
from longshore.core.objects.errors import ApiError, InternalError
from longshore.core.streams.protocols import ExecOptions, LogOptions, Session
from longshore.doors.kit import spdy_line as spdy
from longshore.doors.kit import websocket
from longshore.doors.kit.channels import PROTOCOLS
from longshore.doors.kit.forwarding import forwarding
from longshore.doors.kit.http import (
    AnyReply,
    Reply,
    Request,
    StreamReply,
    Takeover,
    Wire,
    continued,
)
from longshore.doors.kit.remote_command import Line, SocketLine, converse
from longshore.doors.kit.websocket import BadHandshake, WebSocket

Open = Callable[[str, str, str, ExecOptions], Awaitable[Session]]


class Containers(Protocol):
    """The kubelet, as far as this API asks it."""

    def logs(
        self, namespace: str, pod: str, container: str, options: LogOptions
    ) -> AsyncIterator[bytes]: ...

    async def exec(
        self, namespace: str, pod: str, container: str, options: ExecOptions
    ) -> Session: ...

    async def attach(
        self, namespace: str, pod: str, container: str, options: ExecOptions
    ) -> Session: ...

    async def dial(
        self, namespace: str, pod: str, port: int
    ) -> tuple[StreamReader, StreamWriter]: ...


class NodeApi:
    """Handles /logs, /exec and /attach, each /NAMESPACE/POD/CONTAINER, /portforward/NAMESPACE/POD and
    what stats.py tells, for servers and masters, and /healthz for everybody. What is told others may
    read, too, as access says."""

    def __init__(
        self, containers: Containers, statistics: Statistics, access: NodeAccess | None = None
    ) -> None:
        self._containers = containers
        self._statistics = statistics
        self._access = access

    async def handle(self, request: Request) -> AnyReply:
        if request.path == "/healthz":
            return Reply(200, b"ok", "text/plain")
        try:
            if (refused := await self._refusal(request)) is not None:
                return _failure(*refused)
            return await self._answer(request)
        except ApiError as error:
            return _failure(error.code, error.message)
        except BadHandshake as error:
            return _failure(400, str(error))

    async def _refusal(self, request: Request) -> tuple[int, str] | None:
        who = request.user
        if who is not None and (who.is_master or SERVERS in who.groups):
            return None
        if self._access is None:
            return 403, "only the cluster's server may ask a node"
        try:
            return await self._access.refusal(request)
        except OSError as error:
            return 503, f"the cluster's servers cannot be asked: {error}"

    async def _answer(self, request: Request) -> AnyReply:
        match request.path.strip("/").split("/"):
            case ["logs", namespace, pod, container]:
                return await self._log(namespace, pod, container, log_options(request))
            case ["exec", namespace, pod, container]:
                return await _talk(request, self._containers.exec, (namespace, pod, container))
            case ["attach", namespace, pod, container]:
                return await _talk(request, self._containers.attach, (namespace, pod, container))
            case ["portforward", namespace, pod]:
                dial = partial(self._containers.dial, namespace, pod)
                return forwarding(request.headers, _ports(request), dial)
        return await told(request, self._statistics) or _failure(404, "not found")

    async def _log(self, namespace: str, pod: str, container: str, options: LogOptions) -> AnyReply:
        pieces = self._containers.logs(namespace, pod, container, options)
        first = await anext(pieces, b"")
        return StreamReply(continued(first, pieces), content_type="text/plain")


async def _talk(request: Request, start: Open, container: tuple[str, str, str]) -> AnyReply:
    """Open a session once the request proves to be good, and talk over a WebSocket or SPDY. Raises
    ApiError and BadHandshake."""
    headers, line = _line(request.headers)
    options = exec_options(request)
    try:
        session = await start(*container, options)
    except InternalError as error:
        # Told over the connection, as a kubelet does: kubectl takes a refused upgrade for a server
        # that knows no WebSocket, and asks again in SPDY.
        session = _NotStarted(error)
    return Takeover(_speaking(session, line, options), headers)


def _line(headers: Mapping[str, str]) -> tuple[dict[str, str], Callable[[Wire], Line]]:
    """The headers of a 101, and the line that the connection is then. Raises BadHandshake."""
    if websocket.is_websocket(headers):
        channels = PROTOCOLS[websocket.negotiate(headers, tuple(PROTOCOLS))]
        answer = websocket.accept(headers, channels.name)
        return answer, lambda wire: SocketLine(WebSocket(wire), channels)
    if not spdy.is_spdy(headers):
        raise BadHandshake("Upgrade request required")
    version = spdy.REMOTE_COMMAND[spdy.negotiate(headers, tuple(spdy.REMOTE_COMMAND))]
    return spdy.accept(version.name), lambda wire: spdy.SpdyLine(wire, version)


class _NotStarted:
    """The session of a command that could not be started: all that it has to say is why."""

    def __init__(self, error: InternalError) -> None:
        self._error = error

    async def write(self, data: bytes) -> None: ...

    async def close_stdin(self) -> None: ...

    async def resize(self, width: int, height: int) -> None: ...

    async def read(self) -> tuple[int, bytes]:
        return 0, b""

    async def exit_code(self) -> int | None:
        raise self._error

    async def close(self) -> None: ...


def _speaking(
    session: Session, line: Callable[[Wire], Line], options: ExecOptions
) -> Callable[[Wire], Awaitable[None]]:
    async def talk(wire: Wire) -> None:
        await converse(line(wire), session, options)

    return talk


def _ports(request: Request) -> list[int]:
    """What the door's streaming.forward passed on."""
    return [int(one) for one in request.query.get("ports", ())]


def exec_options(request: Request) -> ExecOptions:
    """What the door's streaming.session_query wrote."""
    wishes = {name: request.param(name) == "1" for name in ("stdin", "stdout", "stderr", "tty")}
    return ExecOptions(tuple(request.query.get("command", ())), **wishes)


def log_options(request: Request) -> LogOptions:
    """What streams.log_query wrote."""
    tail, limit = request.param("tail"), request.param("limit")
    return LogOptions(
        follow=request.param("follow") == "1",
        previous=request.param("previous") == "1",
        timestamps=request.param("timestamps") == "1",
        since=float(request.param("since", "0")),
        tail_lines=int(tail) if tail else None,
        limit_bytes=int(limit) if limit else None,
    )


def _failure(code: int, message: str) -> Reply:
    return Reply(code, orjson.dumps({"message": message}))
