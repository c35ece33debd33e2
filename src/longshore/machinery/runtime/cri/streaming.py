"""exec and attach through a CRI runtime: it answers with a URL of its own, where a command's streams are
spoken over SPDY, as kubelets and old clients do.

SPDY rather than WebSocket, since only as of v5 of its protocol (runtimes of 2024) can a WebSocket end the input
of a command. The runtime's server listens on its own loopback, which may be of another network namespace.

Facts: k8s.io/kubelet pkg/cri/streaming/remotecommand/httpstream.go (which streams are waited for).
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Final
from urllib.parse import urlsplit

import orjson

from longshore.core.streams.protocols import ExecOptions
from longshore.core.streams.spdy.frames import BadFrame
from longshore.core.streams.spdy.session import Session, Stream
from longshore.machinery.runtime.cri import calls
from longshore.machinery.runtime.cri import rpc_pb2 as rpc
from longshore.machinery.runtime.cri.calls import Calls
from longshore.machinery.runtime.linux import socket_in
from longshore.machinery.runtime.protocol import RuntimeFailure

_STDOUT: Final = 1
_STDERR: Final = 2
_READ_BYTES = 64 * 1024
_HEAD_MAX_BYTES = 16 * 1024
# What the runtime's server gives a client to begin.
_BEGIN_S = 30.0
_REQUEST = (
    "POST {target} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
    "X-Stream-Protocol-Version: v4.channel.k8s.io\r\nContent-Length: 0\r\n\r\n"
)


class _Wire:
    """A connection, as sessions read it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def read(self) -> bytes:
        data = await self._reader.read(_READ_BYTES)
        if not data:
            raise ConnectionResetError("the container runtime has ended the session")
        return data

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    def close(self) -> None:
        self._writer.close()


class CriSession:
    """streams.Session of a command, or of an attached container. Who reads drives the connection."""

    def __init__(self, wire: _Wire, options: ExecOptions) -> None:
        self._wire = wire
        self._options = options
        self._session = Session(wire, None)
        self._streams: dict[str, Stream] = {}
        self._said = b""

    async def begin(self) -> None:
        """Open all streams, for which the runtime waits."""
        wanted = ["error"]
        wanted += [one for one in ("stdin", "stdout", "stderr") if self._wants(one)]
        wanted += ["resize"] if self._options.tty else []
        for name in wanted:
            self._streams[name] = await self._session.begin({"streamtype": name})

    def _wants(self, name: str) -> bool:
        """A terminal has one output."""
        return bool(getattr(self._options, name)) and not (name == "stderr" and self._options.tty)

    async def write(self, data: bytes) -> None:
        if (stdin := self._streams.get("stdin")) is not None:
            await stdin.write(data)

    async def close_stdin(self) -> None:
        """Of a pipe. A terminal has no end of input that is not also its hang-up."""
        if (stdin := self._streams.get("stdin")) is not None and not self._options.tty:
            await stdin.finish()

    async def resize(self, width: int, height: int) -> None:
        if (sizes := self._streams.get("resize")) is not None:
            await sizes.write(orjson.dumps({"Width": width, "Height": height}) + b"\n")

    async def read(self) -> tuple[int, bytes]:
        while True:
            outputs = [
                (number, self._streams[name])
                for number, name in ((_STDOUT, "stdout"), (_STDERR, "stderr"))
                if name in self._streams
            ]
            for number, stream in outputs:
                if data := stream.take():
                    return number, data
            if self._told or (outputs and all(stream.ended for _, stream in outputs)):
                return 0, b""
            await self._turn()

    @property
    def _told(self) -> bool:
        """Whether the runtime has said how it ended."""
        error = self._streams["error"]
        self._said += error.take()
        return error.ended

    async def _turn(self) -> None:
        try:
            await self._session.turn()
        except BadFrame as error:
            raise ConnectionResetError(str(error)) from error
        except ConnectionError:
            # Streams that are given up have ended; the last word may have come.
            self._session.give_up()

    async def exit_code(self) -> int | None:
        """None of a container, which goes on. Raises ConnectionAbortedError if the command could not be
        started, in the runtime's words, or the runtime did not say how it ended."""
        while not self._told:
            await self._turn()
        if not self._options.command:
            return None
        return exit_code(self._said)

    async def close(self) -> None:
        """A command whose streams all break off ends as it does at a hang-up; no runtime does more."""
        self._wire.close()


def exit_code(said: bytes) -> int:
    """Of what an error stream said, a metav1.Status. Raises ConnectionAbortedError."""
    try:
        status = orjson.loads(said)
    except orjson.JSONDecodeError:
        raise ConnectionAbortedError("the container runtime did not say how it ended") from None
    if status.get("status") == "Success":
        return 0
    for cause in (status.get("details") or {}).get("causes") or ():
        if cause.get("reason") == "ExitCode":
            return int(cause["message"])
    raise ConnectionAbortedError(str(status.get("message")))


async def exec(ask: Calls, container_id: str, options: ExecOptions) -> CriSession:
    """Start a command. Raises RuntimeFailure."""
    asked = rpc.ExecRequest(
        container_id=container_id,
        cmd=options.command,
        tty=options.tty,
        stdin=options.stdin,
        stdout=options.stdout,
        stderr=options.stderr and not options.tty,
    )
    return await _opened(ask, (await ask(calls.EXEC, asked)).url, options)


async def attach(ask: Calls, container_id: str, options: ExecOptions) -> CriSession:
    """Join the container's first process. Raises RuntimeFailure."""
    asked = rpc.AttachRequest(
        container_id=container_id,
        tty=options.tty,
        stdin=options.stdin,
        stdout=options.stdout,
        stderr=options.stderr and not options.tty,
    )
    return await _opened(ask, (await ask(calls.ATTACH, asked)).url, options)


async def _opened(ask: Calls, url: str, options: ExecOptions) -> CriSession:
    try:
        async with asyncio.timeout(_BEGIN_S):
            session = CriSession(await _upgraded(ask.socket, url), options)
            await session.begin()
    except (OSError, TimeoutError, ValueError) as error:
        raise RuntimeFailure(f"no session with the container runtime: {error}") from error
    return session


async def _upgraded(endpoint: str, url: str) -> _Wire:
    """Raises OSError, or ValueError for an answer that is no switch to SPDY."""
    split = urlsplit(url)
    host, port = split.hostname or "127.0.0.1", split.port or 80
    connection = socket_in(_network_of(endpoint))
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, (host, port))
    reader, writer = await asyncio.open_connection(sock=connection, limit=_HEAD_MAX_BYTES)
    target = split.path + (f"?{split.query}" if split.query else "")
    writer.write(_REQUEST.format(target=target, host=split.netloc).encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode(errors="replace")
    if " 101 " not in head.splitlines()[0]:
        writer.close()
        raise ValueError(f"it answered {head.splitlines()[0]}")
    return _Wire(reader, writer)


def _network_of(endpoint: str) -> str:
    """The network namespace of who listens at a socket (unix(7), SO_PEERCRED)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.connect(endpoint)
        credentials = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return f"/proc/{struct.unpack('3i', credentials)[0]}/ns/net"
