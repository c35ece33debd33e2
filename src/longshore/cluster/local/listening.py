"""Where servers will be called, and how far they are."""

from __future__ import annotations

import os
import socket

from longshore.cluster.config import (
    ClusterError,
)
from longshore.cluster.host.process import BACKLOG


def listen(port: int, *, shared: bool) -> socket.socket:
    """A socket that listens on 127.0.0.1. Several servers each have one at the same port: the kernel
    gives each of them a share of the connections, and all of them to those that are left. Such a
    one listens when its server can answer, for no connection shall wait that another could take."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise ClusterError(
            f"port {port} on 127.0.0.1 is taken by another program ({error.strerror}): stop that one, then start again"
        ) from error
    if not shared:
        listener.listen(BACKLOG)
    return listener


class News:
    """How far a server is, as it tells through a pipe."""

    def __init__(self, name: str, pipe: int) -> None:
        self.name, self._pipe = name, pipe
        self._said = b""

    def fileno(self) -> int:
        return self._pipe

    @property
    def heard(self) -> list[str]:
        return self._said.decode().split("\n")

    def hear(self) -> bool:
        """Take in what it says now; False if it has ended."""
        more = os.read(self._pipe, 4096)
        self._said += more
        return bool(more)
