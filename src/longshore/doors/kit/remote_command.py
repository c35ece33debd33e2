"""Joins a client's line to a session: a command in a container, or the container itself."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

from longshore.core.objects.errors import ApiError
from longshore.core.streams.protocols import ExecOptions, Session
from longshore.doors.kit.channels import (
    CLOSE,
    ERROR,
    RESIZE,
    STDERR,
    STDIN,
    STDOUT,
    BadMessage,
    Channels,
    read_size,
)
from longshore.doors.kit.websocket import WebSocket

log = logging.getLogger(__name__)

# How long a client may take to answer the goodbye. Closing at once could reset the connection
# while it still sends, and what it has not read yet (the exit code) would be lost.
LINGER_S = 2.0
# kubectl (client-go, remotecommand/websocket.go, up to 1.32 at least) begins to read before it has made its
# streams, and throws away what comes in between: "Unknown stream id 1, discarding message".
SETTLE_S = 0.02
# RFC 6455, section 7.4.1: data that the receiver cannot take.
_UNSUPPORTED_DATA = 1003

Hear: TypeAlias = Callable[[int, bytes], Awaitable[None]]
"""Takes (channel, data) of the client; on CLOSE data is the channel that it closes."""


class Line(Protocol):
    """The client's end of a talk, by channels of which each has its own bytes."""

    channels: Channels

    async def listen(self, hear: Hear) -> None:
        """Return when the client has left."""

    async def begin(self, options: ExecOptions) -> None:
        """Return when the client can hear. Raises ConnectionError if it never does."""

    async def send(self, channel: int, data: bytes) -> None: ...

    async def close(self) -> None:
        """Say goodbye."""


class SocketLine:
    """A WebSocket whose messages are of one channel each."""

    def __init__(self, socket: WebSocket, channels: Channels) -> None:
        self.channels = channels
        self._socket = socket
        self._ready = asyncio.Event()
        asyncio.get_running_loop().call_later(SETTLE_S, self._ready.set)

    async def listen(self, hear: Hear) -> None:
        while (message := await self._socket.receive()) is not None:
            self._ready.set()  # who speaks has its streams
            try:
                channel, data = self.channels.decode(message)
            except BadMessage as error:
                await self._socket.close(_UNSUPPORTED_DATA, str(error)[:120])
                return
            if channel != CLOSE or self.channels.closes:
                await hear(channel, data)

    async def begin(self, options: ExecOptions) -> None:
        """Before v5, an empty message says that the session has begun."""
        if not self.channels.closes:
            await self.send(STDOUT if options.stdout else STDERR if options.stderr else ERROR, b"")

    async def send(self, channel: int, data: bytes) -> None:
        await self._ready.wait()
        await self._socket.send(self.channels.encode(channel, data), text=self.channels.text)

    async def close(self) -> None:
        await self._socket.close()


async def converse(line: Line, session: Session, options: ExecOptions) -> None:
    """Carry bytes both ways until the session has ended or the client has left; the session is
    closed afterwards."""
    talk = _Talk(line, session, options)
    try:
        async with asyncio.TaskGroup() as crew:
            listening = crew.create_task(talk.listen(), name="stdin")
            speaking = crew.create_task(talk.speak(), name="output")
            await asyncio.wait((listening, speaking), return_when=asyncio.FIRST_COMPLETED)
            if speaking.done():
                await asyncio.wait((listening,), timeout=LINGER_S)
            listening.cancel()
            speaking.cancel()
    finally:
        await session.close()


class _Talk:
    def __init__(self, line: Line, session: Session, options: ExecOptions) -> None:
        self._line = line
        self._session = session
        self._options = options
        self._stdin_open = options.stdin

    # From the client to the session.

    async def listen(self) -> None:
        """Return when the client has left."""
        with contextlib.suppress(ConnectionError):
            await self._line.listen(self._hear)

    async def _hear(self, channel: int, data: bytes) -> None:
        if channel == STDIN and data:
            await self._type(data)
        elif channel == RESIZE and self._options.tty:
            size = read_size(data)
            if size is not None:
                await self._session.resize(*size)
        elif channel == CLOSE and data == bytes((STDIN,)):
            await self._close_stdin()

    async def _type(self, data: bytes) -> None:
        if not self._stdin_open:
            return
        try:
            await self._session.write(data)
        except OSError:
            # The process has closed its stdin or is gone: its output tells the rest.
            self._stdin_open = False

    async def _close_stdin(self) -> None:
        if self._stdin_open:
            self._stdin_open = False
            with contextlib.suppress(OSError):
                await self._session.close_stdin()

    # From the session to the client.

    async def speak(self) -> None:
        """Return when all has been said, the exit code too."""
        line = self._line
        with contextlib.suppress(ConnectionError):
            await line.begin(self._options)
            try:
                await self._relay_output()
                last = line.channels.ending(await self._session.exit_code())
            except (ApiError, OSError) as error:
                log.info("a session broke off: %s", error)
                last = line.channels.failing(str(error))
            if last:
                await line.send(ERROR, last)
            await line.close()

    async def _relay_output(self) -> None:
        wanted = {STDOUT: self._options.stdout, STDERR: self._options.stderr}
        while True:
            channel, data = await self._session.read()
            if not channel:
                return
            if data and wanted.get(channel):
                await self._line.send(channel, data)
