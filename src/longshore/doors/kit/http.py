"""Requests and replies as doors see them; the server that speaks HTTP is next door in server.py."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from longshore.base.users import User


@dataclass(slots=True)
class Request:
    """One request, read whole. path is percent-decoded; query keeps the order and repeats."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    user: User | None

    def param(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        values = self.query.get(name)
        return values[0] if values else default


@dataclass(slots=True)
class Reply:
    """A whole answer. content_type goes out as it is: never with a charset."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class StreamReply:
    """An answer in pieces (watch, logs): each piece is flushed as it comes."""

    pieces: AsyncIterator[bytes]
    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
