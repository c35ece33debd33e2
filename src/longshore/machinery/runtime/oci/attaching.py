"""Talk to the main process of a running container, through its conmon: `kubectl attach`.

conmon listens on a SOCK_SEQPACKET socket named attach. Every packet to us begins with a byte that
says of which stream it is; every packet from us is input. A terminal's size goes through the fifo
named ctl as "1 ROWS COLUMNS" (conmon, src/conn_sock.c and src/ctrl.c).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from pathlib import Path

from longshore.core.streams.protocols import ExecOptions
from longshore.machinery.runtime.oci.descriptors import Input, Outputs
from longshore.machinery.runtime.protocol import RuntimeFailure

# conmon reads this much of a packet and drops the rest (CONN_SOCK_BUF_SIZE).
_PACKET_BYTES = 8192
# conmon's numbers for its pipes, and ours.
_STREAMS = {2: 1, 3: 2}


class AttachSession:
    """streams.Session of a container's main process, which goes on when this ends. ended is set at
    the container's end."""

    def __init__(self, connection: socket.socket, bundle: Path, options: ExecOptions) -> None:
        self._connection = connection
        self._bundle = bundle
        self._wanted = {n for n, asked in ((1, options.stdout), (2, options.stderr)) if asked}
        if options.tty:
            self._wanted = {1}
        self._stdin = options.stdin
        self._input = Input(os.dup(connection.fileno()), _PACKET_BYTES)
        self._outputs = Outputs({os.dup(connection.fileno()): 1})

    async def write(self, data: bytes) -> None:
        if self._stdin:
            await self._input.write(data)

    async def close_stdin(self) -> None:
        """conmon passes it on to containers whose stdin is for one session (stdinOnce)."""
        if self._stdin:
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_WR)

    async def resize(self, width: int, height: int) -> None:
        try:
            fd = os.open(self._bundle / "ctl", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return  # the container has ended
        with contextlib.suppress(OSError):
            os.write(fd, f"1 {height} {width}\n".encode())
        os.close(fd)

    async def read(self) -> tuple[int, bytes]:
        while True:
            _, packet = await self._outputs.read()
            if not packet:
                return 0, b""
            stream = _STREAMS.get(packet[0], 0)
            if stream in self._wanted:
                return stream, packet[1:]

    async def exit_code(self) -> None:
        """Attach has none: the pod's status says how the container ended."""

    async def close(self) -> None:
        self._input.close()
        self._outputs.close()
        self._connection.close()


async def attach(bundle: Path, options: ExecOptions) -> AttachSession:
    """bundle is the container's directory. Raises RuntimeFailure."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.setblocking(False)
    # By way of a descriptor: the path may be longer than the 108 bytes of an address.
    directory = os.open(bundle, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        address = f"/proc/self/fd/{directory}/attach"
        await asyncio.get_running_loop().sock_connect(connection, address)
    except OSError as error:
        connection.close()
        raise RuntimeFailure(f"container {bundle.name[:12]}: {error.strerror}") from error
    finally:
        os.close(directory)
    return AttachSession(connection, bundle, options)
