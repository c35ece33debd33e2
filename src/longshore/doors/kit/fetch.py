"""An HTTP/1.1 client: kept connections, several servers, streams. The server's own parser, so an
agent imports no second HTTP stack (aiohttp's costs a tenth of a second at start).

Timeouts here are the event loop's: what waits on a real socket waits in real time.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from weakref import WeakSet

import httptools

from longshore.base.files import told

# A whole answer must be there within this time (a shorter one where another server can be asked, as
# the kubelet gives the renewal of its Lease), a connection made within that.
ANSWER_S, ANSWER_OF_SEVERAL_S = 30.0, 10.0
CONNECT_S = 5.0
# What a server says that cannot serve at the moment: another one may be able to.
_UNABLE = (503, 504)
# A kept connection is closed after this long: servers drop idle ones at 90 s. A kubelet asks every 10 s.
KEEP_S = 20.0
# What a stream may hold unread before the connection is told to wait.
_STREAM_BUFFER_BYTES = 1024 * 1024


class FetchError(Exception):
    """No answer: no server could be reached, or the connection broke. sent says whether the
    request may have been carried out."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


@dataclass(slots=True)
class Answer:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


SocketFactory = Callable[[], socket.socket]
"""Makes an unconnected TCP socket, perhaps in another network namespace."""


class _Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, server: str) -> None:
        self.server = server
        self.idle_since = 0.0
        self.reusable = True
        self.transport: asyncio.Transport | None = None
        self._heads: asyncio.Future[Answer] | None = None
        self._more: asyncio.Future[None] | None = None
        self._pieces: deque[bytes] = deque()
        self._held = 0
        self._ended = False
        self._broken = False
        self._answer = Answer(0)
        self._parser = httptools.HttpResponseParser(self)

    # What the loop and the parser call.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "pause_reading")
        self.transport = transport  # type: ignore[assignment]
        if not self.reusable:  # whoever wanted it has given up meanwhile
            self.abort()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._broken, self.reusable = True, False
        if self._heads is not None and not self._heads.done():
            self._heads.set_exception(FetchError(f"{self.server} closed", sent=True))
        self._rouse()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._answer.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._answer.status = self._parser.get_status_code()
        if self._answer.status >= 200 and self._heads is not None and not self._heads.done():
            self._heads.set_result(self._answer)

    def on_body(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._held += len(piece)
        if self._held > _STREAM_BUFFER_BYTES and self.transport is not None:
            self.transport.pause_reading()
        self._rouse()

    def on_message_complete(self) -> None:
        if self._answer.status < 200:
            return
        self._ended = True
        self.reusable = self.reusable and self._parser.should_keep_alive()
        self._rouse()

    # What the pool calls.

    async def ask(self, request: bytes) -> Answer:
        """Send, and return when the answer's head is there."""
        assert self.transport is not None
        self._answer, self._ended = Answer(0), False
        self._pieces.clear()
        self._held = 0
        self._parser = httptools.HttpResponseParser(self)
        self._heads = asyncio.get_running_loop().create_future()
        if self._broken:
            raise FetchError(f"{self.server} closed", sent=False)
        self.transport.write(request)
        return await self._heads

    async def piece(self) -> bytes:
        """What has come of the body since the last call; empty at its end. Raises FetchError."""
        while not self._pieces:
            if self._ended:
                return b""
            if self._broken:
                raise FetchError(f"{self.server} broke off", sent=True)
            self._more = asyncio.get_running_loop().create_future()
            await self._more
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._held = 0
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()
        return data

    def abort(self) -> None:
        self.reusable = False
        if self.transport is not None:
            self.transport.abort()

    def _rouse(self) -> None:
        if self._more is not None and not self._more.done():
            self._more.set_result(None)


class Stream:
    """A body that comes in pieces. close() when done with it."""

    def __init__(self, answer: Answer, connection: _Connection) -> None:
        self.answer = answer
        self.piece = connection.piece
        self.close = connection.abort


class Pool:
    """Connections to any of several servers; the one that answered last is asked first. One that
    gives no answer is left for the next, with all streams that it has.

    servers are URLs such as https://127.0.0.1:6443.
    """

    def __init__(
        self,
        servers: Sequence[str],
        ssl_context: ssl.SSLContext | None,
        *,
        socket_factory: SocketFactory | None = None,
        connections_max: int = 16,
        answer_s: float = 0.0,
        keep_s: float = KEEP_S,
    ) -> None:
        assert servers, "a client needs a server"
        self._servers = deque(servers)
        self._answer_s = answer_s or (ANSWER_S if len(servers) == 1 else ANSWER_OF_SEVERAL_S)
        self._keep_s = keep_s
        self._ssl = ssl_context
        self._socket_factory = socket_factory
        self._room = asyncio.Semaphore(connections_max)
        self._idle: list[_Connection] = []
        self._tidying: asyncio.TimerHandle | None = None
        self._streams: WeakSet[_Connection] = WeakSet()
        self._closed = False

    async def fetch(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes = b""
    ) -> Answer:
        """The whole answer. Raises FetchError; a GET that broke off is asked once more."""
        async with self._room:
            try:
                return await self._fetch(method, target, headers, body)
            except FetchError as error:
                if error.sent and method != "GET":
                    raise
                return await self._fetch(method, target, headers, body)

    async def stream(self, target: str, headers: Mapping[str, str]) -> Stream:
        """GET, returning when the head is there. A stream has a connection of its own, beyond the
        bound: its holder closes it."""
        connection = await self._connect()
        async with self._answering(connection):
            answer = await connection.ask(_request("GET", target, connection, headers, b""))
        self._streams.add(connection)
        return Stream(answer, connection)

    def close(self) -> None:
        self._closed = True
        if self._tidying is not None:
            self._tidying.cancel()
        while self._idle:
            self._idle.pop().abort()

    async def _fetch(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        connection = self._kept() or await self._connect()
        async with self._answering(connection):
            answer = await connection.ask(_request(method, target, connection, headers, body))
            pieces = []
            while piece := await connection.piece():
                pieces.append(piece)
        answer.body = b"".join(pieces)
        self._keep(connection)
        if answer.status in _UNABLE:
            self._turn_from(connection.server)
        return answer

    @contextlib.asynccontextmanager
    async def _answering(self, connection: _Connection) -> AsyncIterator[None]:
        """Bound the wait for an answer. A connection that gave none, or half of one, is closed."""
        try:
            async with asyncio.timeout(self._answer_s):
                yield
        except TimeoutError as error:
            connection.abort()
            self._leave(connection.server)
            raise FetchError(f"no answer within {self._answer_s:g} s", sent=True) from error
        except BaseException:
            connection.abort()
            raise

    def _kept(self) -> _Connection | None:
        """The one that was used last, so that those of a burst rest until they are closed."""
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable:
                return connection
        return None

    def _keep(self, connection: _Connection) -> None:
        if not connection.reusable or self._closed:
            return connection.abort()
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.append(connection)
        if self._tidying is None:
            self._tidying = loop.call_later(self._keep_s, self._tidy)

    def _tidy(self) -> None:
        """Close what has rested for long: a connection is 50 KB here and as much at the server."""
        loop, self._tidying = asyncio.get_running_loop(), None
        rested = loop.time() - self._keep_s
        while self._idle and (self._idle[0].idle_since <= rested or not self._idle[0].reusable):
            self._idle.pop(0).abort()
        if self._idle:
            self._tidying = loop.call_at(self._idle[0].idle_since + self._keep_s, self._tidy)

    async def _connect(self) -> _Connection:
        reasons = []
        for _ in range(len(self._servers)):
            server = self._servers[0]
            try:
                async with asyncio.timeout(CONNECT_S):
                    return await self._connect_to(server)
            except (OSError, TimeoutError) as error:
                reasons.append(f"{server}: {told(error) or 'timed out'}")
                self._leave(server)
        raise FetchError("no server can be reached: " + "; ".join(reasons), sent=False)

    def _leave(self, server: str) -> None:
        """A server does not answer: what it streams has ended, though nobody may ever say so."""
        self._turn_from(server)
        if len(self._servers) > 1:
            for connection in [one for one in self._streams if one.server == server]:
                connection.abort()

    def _turn_from(self, server: str) -> None:
        """Ask the next one first from now on, unless another task has seen to that already."""
        if self._servers[0] == server:
            self._servers.rotate(-1)
        if len(self._servers) > 1:
            for connection in [one for one in self._idle if one.server == server]:
                self._idle.remove(connection)
                connection.abort()

    async def _connect_to(self, server: str) -> _Connection:
        loop = asyncio.get_running_loop()
        url = urlsplit(server)
        host, port = url.hostname or "", url.port or 443
        context = self._ssl if url.scheme == "https" else None
        name = host if context is not None else None
        sock = await self._socket(host, port)
        connection = _Connection(server)
        try:
            await loop.create_connection(
                lambda: connection, sock=sock, ssl=context, server_hostname=name
            )
        except BaseException:
            connection.abort()  # the socket is its transport's: to close it here would be behind its back
            raise
        return connection

    async def _socket(self, host: str, port: int) -> socket.socket:
        loop = asyncio.get_running_loop()
        if self._socket_factory is not None:
            return await _connected(self._socket_factory(), (host, port))
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
        return await _connected(socket.socket(family, kind, protocol), address)


async def _connected(sock: socket.socket, address: tuple[object, ...]) -> socket.socket:
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A watch may be silent for a minute: the kernel tells whether its server still lives.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
            with contextlib.suppress(AttributeError):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


def _request(
    method: str, target: str, connection: _Connection, headers: Mapping[str, str], body: bytes
) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", f"Host: {urlsplit(connection.server).netloc}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body or method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body
