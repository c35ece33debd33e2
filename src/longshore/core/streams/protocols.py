"""Live talk with a node, as protocols that cluster/ plugs together.

A door asks for a container's log; the node that has it answers. Neither imports the other.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
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


class Streams(Protocol):
    """Reaches the nodes of a cluster."""

    def logs(
        self, node: str, namespace: str, pod: str, container: str, options: LogOptions
    ) -> AsyncIterator[bytes]:
        """The container's log in pieces of any size. Raises ApiError before the first piece:
        NotFound for an unknown container, BadRequest for one that has not started."""
