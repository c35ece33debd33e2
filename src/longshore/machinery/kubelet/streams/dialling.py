"""Connect to a port of a pod from within its own network, for kubectl port-forward."""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter

from longshore.machinery.network.errors import NetworkFailure, unreached
from longshore.machinery.network.namespaces import socket_in

CONNECT_S = 10.0
_LOOPBACK = "127.0.0.1"


async def dial(netns: str, port: int) -> tuple[StreamReader, StreamWriter]:
    """Who listens on localhost is reached too, as by upstream's runtimes. netns is a path, empty for
    the node's own. Raises OSError."""
    try:
        sock = socket_in(netns)
    except NetworkFailure as error:
        raise ConnectionError(str(error)) from error
    try:
        sock.setblocking(False)
        async with asyncio.timeout(CONNECT_S):
            await asyncio.get_running_loop().sock_connect(sock, (_LOOPBACK, port))
        return await asyncio.open_connection(sock=sock)
    except BaseException as error:
        sock.close()
        if isinstance(error, OSError) and error.errno is not None:
            raise ConnectionError(unreached(error, _LOOPBACK, port)) from error
        raise
