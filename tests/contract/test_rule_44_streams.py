"""Rule 44, streams: exec and attach need the verb create, run over WebSocket, and fail as upstream.

A node's API on loopback TLS runs the sessions, and the door reaches it as it reaches any node.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypeAlias

import orjson
import pytest

from longshore.base.clock import SystemClock
from longshore.base.users import SERVERS, User
from longshore.cluster.agent.api import NodeApi
from longshore.core.objects.errors import BadRequest
from longshore.core.objects.kinds import Doc
from longshore.core.pki.authority import Authority
from longshore.core.pki.tls import client_context, server_context
from longshore.core.streams.protocols import Answering, Ask, ExecOptions, LogOptions, Session
from longshore.doors.kit.exchange import exchange
from longshore.doors.kit.websocket import WebSocket
from longshore.doors.kubernetes.audit.auditor import Auditor
from longshore.doors.kubernetes.door import DoorConfig
from tests.doors.rig import ADMIN, Kube, kube, pod, serving

KEY = base64.b64encode(b"0123456789abcdef").decode()
EXEC = "/api/v1/namespaces/default/pods/web/exec"


Dialled: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1024):
            writer.write(data.upper())
    writer.close()


class EchoSession:
    """Says what it reads in capitals, and on stderr what size its terminal has."""

    def __init__(self, options: ExecOptions) -> None:
        self.options = options
        self.closed = asyncio.Event()
        self._output: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue()
        if not options.stdin:
            self._say(1, " ".join(options.command).encode())
            self._say(0, b"")

    def _say(self, channel: int, data: bytes) -> None:
        self._output.put_nowait((channel, data))

    async def write(self, data: bytes) -> None:
        self._say(1, data.upper())

    async def close_stdin(self) -> None:
        self._say(2, b"end of input")
        self._say(0, b"")

    async def resize(self, width: int, height: int) -> None:
        self._say(1, b"%dx%d" % (width, height))

    async def read(self) -> tuple[int, bytes]:
        return await self._output.get()

    async def exit_code(self) -> int | None:
        return int(self.options.command[-1]) if self.options.command else None

    async def close(self) -> None:
        self.closed.set()


class EchoNode:
    """What a kubelet offers, with echoes for containers."""

    def __init__(self) -> None:
        self.sessions: list[EchoSession] = []
        self.echoes: list[asyncio.Future[None]] = []

    async def exec(self, namespace: str, pod: str, container: str, options: ExecOptions) -> Session:
        if container == "asleep":
            raise BadRequest(f'container "{container}" in pod "{pod}" is not running')
        self.sessions.append(EchoSession(options))
        return self.sessions[-1]

    attach = exec

    async def logs(
        self, namespace: str, pod: str, container: str, options: LogOptions
    ) -> AsyncIterator[bytes]:
        yield b"one\n"
        yield b"two\n"

    async def dial(self, namespace: str, pod: str, port: int) -> Dialled:
        """Who listens on port 80 says what it hears in capitals, until it has heard all."""
        if port != 80:
            raise ConnectionRefusedError("nobody listens there")
        here, there = socket.socketpair()
        self.echoes.append(asyncio.ensure_future(_echo(*await asyncio.open_connection(sock=there))))
        return await asyncio.open_connection(sock=here)

    async def summary(self, *, only_cpu_and_memory: bool = False) -> Doc:
        return {"node": {"nodeName": "n1"}, "pods": []}

    async def metrics(self, path: str) -> str:
        return f'kubelet_node_name{{node="n1",path="{path}"}} 1\n'

    def pods(self) -> Doc:
        return {"kind": "PodList", "items": []}

    def configuration(self) -> Doc:
        return {"kubeletconfig": {}}


class Loopback:
    """Streams to one node on 127.0.0.1."""

    def __init__(self, port: int, context: ssl.SSLContext, node: EchoNode) -> None:
        self._port, self._context, self._node = port, context, node

    def logs(
        self, node: str, namespace: str, pod: str, container: str, options: LogOptions
    ) -> AsyncIterator[bytes]:
        return self._node.logs(namespace, pod, container, options)

    async def ask_node(self, node: str, ask: Ask) -> Answering:
        return await _dial(self._port, ask, self._context)

    async def ask_address(self, scheme: str, host: str, port: int, ask: Ask) -> Answering:
        raise ConnectionRefusedError("only the node is here")


async def _dial(port: int, ask: Ask, tls: ssl.SSLContext | None = None) -> Answering:
    return await exchange(socket.socket(), ("127.0.0.1", port), ask, tls)


class World:
    """A door with a pod on the node, served on a port of its own."""

    def __init__(self, api: Kube, node: EchoNode, port: int) -> None:
        self.api, self.node, self.port = api, node, port

    async def open(
        self, path: str, *protocols: str, method: str = "GET", upgrade: str = "websocket"
    ) -> Answering:
        headers = [
            ("Host", "x"), ("Connection", "Upgrade"), ("Upgrade", upgrade),
            ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", KEY),
        ]  # fmt: skip
        if protocols and upgrade == "websocket":
            headers.append(("Sec-WebSocket-Protocol", ", ".join(protocols)))
        elif protocols:
            headers += [("X-Stream-Protocol-Version", one) for one in protocols]
        return await _dial(self.port, Ask(method, path, headers))


@contextlib.asynccontextmanager
async def world(tmp_path: Path, auditor: Auditor | None = None) -> AsyncIterator[World]:
    authority = Authority(tmp_path, SystemClock())
    pair = authority.server("node", ["127.0.0.1"])
    mine = client_context(authority.client("me", "server", [SERVERS]), tmp_path / "ca.crt")
    node = EchoNode()
    tls = server_context(pair, tmp_path / "ca.crt")
    async with serving(NodeApi(node, node).handle, tls=tls) as (_, node_port):
        streams = Loopback(node_port, mine, node)
        async with kube(DoorConfig(streams=streams, auditor=auditor)) as api:
            await _place(api)

            async def as_user(request: Any) -> Any:
                request.user = api.user
                return await api.door.handle(request)

            async with serving(as_user) as (_, port):
                yield World(api, node, port)


async def _place(api: Kube) -> None:
    for name, containers in (("web", ["main"]), ("two", ["main", "asleep"]), ("idle", ["main"])):
        doc = pod(name)
        doc["spec"]["containers"] = [{"name": one, "image": "nginx:1.27"} for one in containers]
        if name != "idle":
            doc["spec"]["nodeName"] = "node1"
        assert (await api("POST", "/api/v1/namespaces/default/pods", doc)).status == 201


async def messages(answer: Answering) -> list[bytes]:
    """Everything that comes until the server says goodbye."""
    socket = WebSocket(answer, client=True)
    found = []
    async with asyncio.timeout(60):
        while (message := await socket.receive()) is not None:
            found.append(message)
    answer.close()
    return found


async def refused(answer: Answering) -> tuple[int, str]:
    assert not answer.switched
    body = b""
    while piece := await answer.read():
        body += piece
    answer.close()
    return answer.status, orjson.loads(body)["message"]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_output_and_exit_code(tmp_path: Path, method: str) -> None:
    async with world(tmp_path) as it:
        path = f"{EXEC}?command=exit&command=3&stdout=true"
        answer = await it.open(path, "v5.channel.k8s.io", method=method)
        assert answer.switched
        output, error = await messages(answer)
        assert output == b"\x01exit 3"
        status = orjson.loads(error[1:])
        assert error[0] == 3 and status["reason"] == "NonZeroExitCode"
        assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]
        await asyncio.wait_for(it.node.sessions[0].closed.wait(), 20)


async def test_stdin_is_carried_and_closed_by_v5(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        path = f"{EXEC}?command=cat&command=0&stdin=1&stdout=1&stderr=1"
        answer = await it.open(path, "v5.channel.k8s.io", "v4.channel.k8s.io")
        socket = WebSocket(answer, client=True)
        await socket.send(b"\x00hello")
        assert await socket.receive() == b"\x01HELLO"
        await socket.send(b"\xff\x00")
        assert await socket.receive() == b"\x02end of input"
        assert await socket.receive() == b'\x03{"metadata":{},"status":"Success"}'
        assert await socket.receive() is None
        answer.close()


async def test_a_terminal_is_resized_and_has_one_output(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        path = f"{EXEC}?command=sh&command=0&stdin=1&stdout=1&stderr=1&tty=1"
        answer = await it.open(path, "v4.base64.channel.k8s.io")
        socket = WebSocket(answer, client=True)
        assert await socket.receive() == b"1"
        size = base64.b64encode(b'{"Width":80,"Height":24}')
        await socket.send(b"4" + size, text=True)
        assert await socket.receive() == b"1" + base64.b64encode(b"80x24")
        assert not it.node.sessions[0].options.stderr
        answer.close()
        await asyncio.wait_for(it.node.sessions[0].closed.wait(), 20)


async def test_the_first_protocol_says_begin_and_no_success(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        answer = await it.open(f"{EXEC}?command=a&command=0&stdout=1", "channel.k8s.io")
        assert await messages(answer) == [b"\x01", b"\x01a 0"]


async def test_logs_over_websocket(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        path = "/api/v1/namespaces/default/pods/web/log"
        assert await messages(await it.open(path, "binary.k8s.io")) == [b"one\n", b"two\n"]
        coded = await messages(await it.open(path, "base64.binary.k8s.io"))
        assert [base64.b64decode(one) for one in coded] == [b"one\n", b"two\n"]


async def test_refusals_are_upstreams(tmp_path: Path) -> None:
    pods = "/api/v1/namespaces/default/pods"
    query = "exec?command=a&stdout=1"
    async with world(tmp_path) as it:
        for path, status, said in (
            (f"{pods}/none/{query}", 404, 'pods "none" not found'),
            (f"{pods}/idle/{query}", 400, "pod idle does not have a host assigned"),
            (f"{pods}/two/{query}", 400, "choose one of: [main asleep]"),
            (f"{pods}/two/{query}&container=x", 400, "container x is not valid for pod two"),
            (f"{pods}/two/{query}&container=asleep", 400, "is not running"),
            (f"{pods}/web/exec?command=a", 400, "you must specify at least 1 of stdin"),
        ):
            answered, message = await refused(await it.open(path, "v4.channel.k8s.io"))
            assert (answered, said in message) == (status, True), message
        unknown = await refused(await it.open(f"{pods}/web/{query}", "v9.channel.k8s.io"))
        assert unknown[0] == 400 and "unable to negotiate protocol" in unknown[1]
        other = await refused(await it.open(f"{pods}/web/{query}", upgrade="h2c"))
        assert other == (400, "Upgrade request required")
        plain = await it.api("POST", f"{pods}/web/{query}")
        assert (plain.status, plain.doc["message"]) == (400, "Upgrade request required")
        forward = f"{pods}/web/portforward"
        plain = await it.api("POST", forward)
        assert (plain.status, plain.doc["message"]) == (400, "Upgrade request required")
        for ports, said in (("", '"ports" is required'), ("?ports=80,x", "unable to parse 'x'")):
            answered, message = await refused(await it.open(forward + ports, "v4.channel.k8s.io"))
            assert (answered, said in message) == (400, True), message


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("below", ["exec", "attach"])
async def test_the_verb_is_create_whatever_the_method(
    tmp_path: Path, method: str, below: str
) -> None:
    async with world(tmp_path) as it:
        it.api.user = User("jane", ("system:authenticated",))
        answer = await it.open(f"{EXEC.removesuffix('exec')}{below}?stdout=1", method=method)
        status, message = await refused(answer)
        assert status == 403 and f'cannot create resource "pods/{below}"' in message
        assert not it.node.sessions
        it.api.user = ADMIN


async def test_a_client_that_leaves_ends_the_session(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        path = f"{EXEC}?command=cat&command=0&stdin=1&stdout=1"
        answer = await it.open(path, "v5.channel.k8s.io")
        answer.close()
        await asyncio.wait_for(it.node.sessions[0].closed.wait(), 20)
