"""Requests and replies as doors see them; the server that speaks HTTP is next door in server.py."""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Protocol, TypeAlias

from longshore.base.users import User


@dataclass(slots=True)
class Request:
    """One request, read whole. path is percent-decoded; query keeps the order and repeats and is
    shared between equal requests (read-only); header names are lower-case, and the values of one
    that came several times are joined by ", "; repeated has those one by one. target is path and
    query as they came; peer is the address from which it came."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    user: User | None
    target: str = ""
    repeated: Mapping[str, Sequence[str]] = field(default_factory=dict)
    peer: str = ""

    def values(self, name: str) -> Sequence[str]:
        """The values of a header, in the order in which they came."""
        several = self.repeated.get(name)
        if several is None:
            return (self.headers[name],) if name in self.headers else ()
        return several

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
class SlicedReply:
    """A whole answer too large for one turn of the loop: slices (none empty) are made and sent one
    after another, with other requests between them."""

    slices: Iterator[bytes]
    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


def sliced(
    slices: Iterator[bytes], status: int, content_type: str, headers: dict[str, str] | None = None
) -> Reply | SlicedReply:
    """An answer in slices; a whole one, with its length, if there is no more than one."""
    first, second = next(slices), next(slices, None)
    if second is None:
        return Reply(status, first, content_type, headers or {})
    return SlicedReply(chain((first, second), slices), status, content_type, headers or {})


class Pieces(Protocol):
    """A body as it comes: an asynchronous generator, or what can be closed like one."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    def __anext__(self) -> Awaitable[bytes]: ...

    def aclose(self) -> Coroutine[Any, Any, None]: ...


@dataclass(slots=True)
class StreamReply:
    """An answer in pieces (watch, logs, a proxied answer): each piece is flushed as it comes.
    length is the body's where it is known beforehand; repeated are headers that come several
    times (Set-Cookie).

    pushed, if there is one, is told how to write a piece while the next one is waited for, without
    waking the connection's task; the answer is whether there is room for another."""

    pieces: Pieces
    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    repeated: tuple[tuple[str, str], ...] = ()
    pushed: Callable[[Callable[[bytes], bool]], None] | None = None


class Ending:
    """Pieces, and what is done when they are over, however that comes. Whoever iterates gets the
    pieces' own iterator, so that it costs nothing on the way."""

    def __init__(self, pieces: Pieces, over: Callable[[], None]) -> None:
        self._pieces = pieces
        self._over: Callable[[], None] | None = over

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces.__aiter__()

    def __anext__(self) -> Awaitable[bytes]:
        return self._pieces.__anext__()

    async def aclose(self) -> None:
        over, self._over = self._over, None
        try:
            await self._pieces.aclose()
        finally:
            if over is not None:
                over()


async def continued(first: bytes, rest: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """A body whose first piece was read already, to learn whether there is one."""
    try:
        if first:
            yield first
        async for piece in rest:
            yield piece
    finally:
        close = getattr(rest, "aclose", None)
        if close is not None:
            await close()


class Wire(Protocol):
    """A connection that was handed over: bytes both ways, no HTTP any more. Whoever holds it is
    cancelled when the other side leaves."""

    async def read(self) -> bytes:
        """The next bytes, never none."""

    async def write(self, data: bytes) -> None:
        """Send, waiting while the other side does not read."""


@dataclass(slots=True)
class Takeover:
    """101 Switching Protocols: after these headers, talk owns the connection until it returns.

    end asks it to return soon, since the server stops. A talk that has one only tells, so it is
    given up like any other answer when it is not read; without one it may be silent for hours.
    """

    talk: Callable[[Wire], Awaitable[None]]
    headers: dict[str, str] = field(default_factory=dict)
    end: Callable[[], None] | None = None


AnyReply: TypeAlias = Reply | SlicedReply | StreamReply | Takeover
Handler: TypeAlias = Callable[[Request], Awaitable[AnyReply]]


def plain_refusal(status: int, message: str) -> Reply:
    """How the server itself refuses (400, 413, 431, 500) where a door has no form of its own."""
    return Reply(status, message.encode() + b"\n", "text/plain")
