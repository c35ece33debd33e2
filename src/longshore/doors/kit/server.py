"""The HTTP server under every door: accepts, bounds, times out, and ends well.

It serves sockets that its caller opened, so one server can listen on 127.0.0.1 of the host and
in another network namespace at once. Each connection is one task in the server's task group.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Sequence

from longshore.base.clock import Clock
from longshore.doors.kit import wire
from longshore.doors.kit.connection import Connection
from longshore.doors.kit.http import Handler, Reply, plain_refusal
from longshore.doors.kit.pulse import Pulse, ServerLimits

log = logging.getLogger(__name__)

# How often deadlines are looked at; also what Date is exact to.
_PULSE_S = 1.0
# After an accept that failed for want of descriptors: give connections time to end.
_ACCEPT_RETRY_S = 0.1
# How long a client may take to answer TLS's goodbye.
_SHUTDOWN_S = 2.0


class Server:
    """handler answers every request; refusal renders what the server itself must refuse."""

    def __init__(
        self,
        handler: Handler,
        clock: Clock,
        *,
        limits: ServerLimits | None = None,
        refusal: Callable[[int, str], Reply] = plain_refusal,
    ) -> None:
        self._handler = handler
        self._clock = clock
        self._limits = limits or ServerLimits()
        self._refusal = refusal
        self._pulse = Pulse()
        self._beat()
        self._connections: set[Connection] = set()
        self._room = asyncio.Semaphore(self._limits.connections_max)
        self._stop = asyncio.Event()
        self._empty = asyncio.Event()

    @property
    def connections(self) -> int:
        return len(self._connections)

    def stop(self) -> None:
        """Accept no more, end idle connections and streams now, busy ones after their answer and
        at the latest after the grace; serve() returns then."""
        self._stop.set()

    async def serve(
        self, sockets: Sequence[socket.socket], ssl_context: ssl.SSLContext | None = None
    ) -> None:
        """Serve listening sockets until stop(); cancelling drops everyone at once.

        The sockets are closed as soon as nothing is accepted any more, so that clients are
        turned away (and go to another server) instead of waiting in a queue nobody serves.
        """
        async with asyncio.TaskGroup() as crew:
            pulse = crew.create_task(self._keep_pulse(), name="pulse")
            acceptors = [
                crew.create_task(self._accept(crew, sock, ssl_context), name="accept")
                for sock in sockets
            ]
            await self._stop.wait()
            for acceptor in acceptors:
                acceptor.cancel()
            await self._end_connections()
            pulse.cancel()

    async def _end_connections(self) -> None:
        self._pulse.stopping = True
        for connection in list(self._connections):
            connection.finish()
        while self._connections:
            self._empty.clear()
            await self._empty.wait()

    async def _keep_pulse(self) -> None:
        while True:
            await self._clock.sleep(_PULSE_S)
            self._beat()
            late = [c for c in self._connections if c.deadline < self._pulse.now]
            for connection in late:
                connection.abort()

    def _beat(self) -> None:
        self._pulse.now = self._clock.monotonic()
        self._pulse.wall = self._clock.now()
        self._pulse.date = wire.date_line(self._pulse.wall)

    async def _accept(
        self, crew: asyncio.TaskGroup, listener: socket.socket, ssl_context: ssl.SSLContext | None
    ) -> None:
        listener.setblocking(False)
        try:
            await self._accept_all(crew, listener, ssl_context)
        finally:
            listener.close()

    async def _accept_all(
        self, crew: asyncio.TaskGroup, listener: socket.socket, ssl_context: ssl.SSLContext | None
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._room.acquire()
            try:
                sock, _ = await loop.sock_accept(listener)
            except OSError as error:
                self._room.release()
                log.warning("accept failed: %s", error)
                await self._clock.sleep(_ACCEPT_RETRY_S)
                continue
            except BaseException:
                self._room.release()
                raise
            crew.create_task(self._attend(sock, ssl_context), name="connection")

    async def _attend(self, sock: socket.socket, ssl_context: ssl.SSLContext | None) -> None:
        connection = Connection(self._handler, self._pulse, self._limits, self._refusal)
        try:
            await self._connect(connection, sock, ssl_context)
            self._connections.add(connection)
            await connection.run()
        except OSError as error:
            log.debug("connection ended: %s", error)
        finally:
            self._connections.discard(connection)
            self._room.release()
            if not self._connections:
                self._empty.set()

    async def _connect(
        self, connection: Connection, sock: socket.socket, ssl_context: ssl.SSLContext | None
    ) -> None:
        loop = asyncio.get_running_loop()
        try:
            if sock.family in (socket.AF_INET, socket.AF_INET6):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.connect_accepted_socket(
                lambda: connection,
                sock,
                ssl=ssl_context,
                ssl_handshake_timeout=self._limits.handshake_s if ssl_context else None,
                ssl_shutdown_timeout=_SHUTDOWN_S if ssl_context else None,
            )
        except BaseException:
            sock.close()
            raise
