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


class Streams(Protocol):
    """Reaches the nodes of a cluster."""

    def logs(
        self, node: str, namespace: str, pod: str, container: str, options: LogOptions
    ) -> AsyncIterator[bytes]:
        """The container's log in pieces of any size. Raises ApiError before the first piece:
        NotFound for an unknown container, BadRequest for one that has not started."""
