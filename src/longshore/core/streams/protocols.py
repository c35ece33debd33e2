"""Live talk with a node, as protocols that cluster/ plugs together.

A door asks for a container's log; the node that has it answers. Neither imports the other.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class LogOptions:
    """As PodLogOptions has them. since is seconds since the epoch; 0 means from the start."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None
    since: float = 0.0


@dataclass(frozen=True)
class ExecOptions:
    """As PodExecOptions and PodAttachOptions have them. An empty command means attach."""

    command: tuple[str, ...] = ()
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    tty: bool = False


class Session(Protocol):
    """A running command, or a container that one is attached to."""

    async def write(self, data: bytes) -> None:
        """To stdin; waits while the process does not read."""

    async def close_stdin(self) -> None: ...

    async def resize(self, width: int, height: int) -> None:
        """The terminal's columns and rows."""

    async def read(self) -> tuple[int, bytes]:
        """(1 stdout | 2 stderr, bytes); (0, b"") when all output has ended."""

    async def exit_code(self) -> int | None:
        """Asked after the output; None for attach to a container that goes on."""

    async def close(self) -> None:
        """Ends an exec'd process that still runs; leaves an attached container alone."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A request to pass on: target is path and query as they go on the wire, headers are all that
    there are, Host and Content-Length too."""

    method: str
    target: str
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""


class Answering(Protocol):
    """The answer to an Ask as it comes. switched: it was 101 Switching Protocols, so bytes go
    both ways now. Whoever holds it closes it."""

    status: int
    headers: list[tuple[str, str]]
    switched: bool

    async def read(self) -> bytes:
        """The next piece; empty at the end. Raises ConnectionError if it breaks off."""

    async def write(self, data: bytes) -> None:
        """Only if it switched; waits while the other side does not read."""

    def close(self) -> None: ...


class Streams(Protocol):
    """Reaches the nodes of a cluster, and the pods on them."""

    async def ask_node(self, node: str, ask: Ask) -> Answering:
        """Ask a node's own API, as the server. Raises ApiError: NotFound, Unavailable."""

    async def ask_address(self, scheme: str, host: str, port: int, ask: Ask) -> Answering:
        """Ask whoever listens on an address of the cluster, by http or https (whose certificate
        is not verified, as upstream's proxy does not either). Raises OSError."""

    def logs(
        self, node: str, namespace: str, pod: str, container: str, options: LogOptions
    ) -> AsyncIterator[bytes]:
        """The container's log in pieces of any size. Raises ApiError before the first piece:
        NotFound for an unknown container, BadRequest for one that has not started."""
