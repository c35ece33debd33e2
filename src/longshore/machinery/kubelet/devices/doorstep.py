"""A socket at which somebody may ask with gRPC, who may never come.

gRPC takes 10 MB of an agent that may have no devices. So the socket is ours; when the first
visitor comes the server is started behind another socket, and visitors are passed on to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from longshore.base.clock import Clock

_log = logging.getLogger("longshore.kubelet.devices")
_AT_ONCE = 64
_CHUNK_BYTES = 64 * 1024
_RETRY_S = 1.0


class Doorstep:
    """Listens at a path. start() returns the path of the socket behind it, once the server is there; it is
    called for each visitor."""

    def __init__(self, path: Path, start: Callable[[], Awaitable[Path]], clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._start = start
        self._places = asyncio.Semaphore(_AT_ONCE)

    def open(self) -> socket.socket:
        """Take the place of whoever listened here before, whose plugins notice. Raises OSError."""
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(str(self._path))
            self._path.chmod(0o600)
            listener.listen(_AT_ONCE)
            listener.setblocking(False)
        except OSError:
            listener.close()
            raise
        return listener

    async def serve(self, listener: socket.socket) -> None:
        """Pass visitors on until cancelled; the listener is closed then."""
        with listener:
            async with asyncio.TaskGroup() as crew:
                while True:
                    await self._places.acquire()
                    crew.create_task(self._pass_on(await self._visitor(listener)))

    async def _visitor(self, listener: socket.socket) -> socket.socket:
        while True:
            try:
                return (await asyncio.get_running_loop().sock_accept(listener))[0]
            except OSError as error:  # no descriptor is left
                _log.warning("%s: %s", self._path, error)
                await self._clock.sleep(_RETRY_S)

    async def _pass_on(self, visitor: socket.socket) -> None:
        inner = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        inner.setblocking(False)
        try:
            with visitor, inner:
                behind = await self._start()
                await asyncio.get_running_loop().sock_connect(inner, str(behind))
                await _both_ways(visitor, inner)
        except OSError as error:
            _log.debug("%s: %s", self._path, error)
        finally:
            self._places.release()


async def _both_ways(one: socket.socket, other: socket.socket) -> None:
    async with asyncio.TaskGroup() as crew:
        crew.create_task(_pump(one, other))
        crew.create_task(_pump(other, one))


async def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Until the source ends or either breaks: then the sink hears that no more comes."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError):
        while data := await loop.sock_recv(source, _CHUNK_BYTES):
            await loop.sock_sendall(sink, data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
