"""One side of a SPDY connection: streams that a client begins, each with headers and bytes both ways."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from longshore.core.streams.spdy.frames import (
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    BadFrame,
    Data,
    Decoder,
    Encoder,
    Frame,
    GoAway,
    Headers,
    Open,
    Ping,
    Reset,
)
from longshore.core.streams.spdy.frames import Opened as Reply

# Streams of one connection at a time; forwarding a port takes two for each of its connections.
STREAMS_MAX = 1_000
# What a stream holds that nobody has read yet. Beyond it nothing more is read of the whole
# connection: clients heed no windows, so TCP's is the only one.
HELD_MAX_BYTES = 1024 * 1024
# In one frame, so that streams take turns.
PIECE_BYTES = 32 * 1024


class Wire(Protocol):
    """A connection: bytes both ways."""

    async def read(self) -> bytes:
        """The next bytes, never none. Raises ConnectionError when the other side leaves."""

    async def write(self, data: bytes) -> None:
        """Send, waiting while the other side does not read."""


class Stream:
    """One stream. One task reads; any may write."""

    def __init__(self, session: Session, number: int, headers: Headers, ended: bool) -> None:
        self.number = number
        self.headers = headers
        self._session = session
        self._pieces: deque[bytes] = deque()
        self._held = 0
        self._ended, self._finished = ended, False
        self._reset = False
        self._news = asyncio.Event()

    async def read(self) -> bytes:
        """What has come; empty once the other side has said all. Raises ConnectionResetError if it gave
        the stream up."""
        while not self._pieces and not self._ended:
            self._news.clear()
            await self._news.wait()
        if self._reset:
            raise ConnectionResetError("the stream was given up")
        return self.take()

    def take(self) -> bytes:
        """What is there, without waiting."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._held = 0
        self._session.eased()
        return data

    @property
    def ended(self) -> bool:
        """Whether the other side has said all, or the stream was given up, and all was read."""
        return self._ended and not self._pieces

    async def write(self, data: bytes) -> None:
        """Send; nothing once the stream is finished or was given up."""
        for at in range(0, len(data), PIECE_BYTES):
            if self._finished:
                return
            await self._session.send(Data(self.number, data[at : at + PIECE_BYTES]))

    async def finish(self) -> None:
        """Say that nothing more will be said."""
        if not self._finished:
            self._finished = True
            await self._session.send(Data(self.number, b"", fin=True))
            self._leave()

    async def reset(self) -> None:
        """Give it up, both ways."""
        if not (self._finished and self._ended):
            self.on_reset()
            await self._session.send(Reset(self.number))

    # What the session tells.

    @property
    def is_full(self) -> bool:
        return self._held > HELD_MAX_BYTES

    def on_data(self, data: bytes, fin: bool) -> None:
        if self._ended:
            return
        if data:
            self._pieces.append(data)
            self._held += len(data)
        self._ended = fin
        self._news.set()
        self._leave()

    def on_reset(self) -> None:
        self._reset = self._ended = self._finished = True
        self._held = 0
        self._news.set()
        self._leave()

    def _leave(self) -> None:
        if self._ended and self._finished:
            self._session.left(self)


class Session:
    """The streams of one connection. run() reads it; accepted is called with each new stream of a client's.
    The client itself has none, and begins them."""

    def __init__(
        self,
        wire: Wire,
        accepted: Callable[[Stream], None] | None,
        *,
        streams_max: int = STREAMS_MAX,
    ) -> None:
        self._wire = wire
        self._most = streams_max
        self._accepted = accepted
        self._decoder, self._encoder = Decoder(), Encoder()
        self._streams: dict[int, Stream] = {}
        self._last = 0
        self._going = False
        self._room = asyncio.Event()
        self._sending = asyncio.Lock()

    async def run(self) -> None:
        """Until the client leaves (ConnectionError), says goodbye and has no stream left, or breaks a
        rule; all streams are given up then."""
        try:
            while not (self._going and not self._streams):
                await self.turn()
                await self._until_room()
        except BadFrame:
            await self.send(GoAway(self._last, PROTOCOL_ERROR))
        finally:
            self.give_up()

    async def turn(self) -> None:
        """Take in what comes next, for who needs no task that runs: a stream has it then. Raises
        ConnectionError and BadFrame."""
        await self._take(await self._wire.read())

    def give_up(self) -> None:
        """All streams, without a word."""
        for stream in list(self._streams.values()):
            stream.on_reset()

    async def begin(self, headers: Headers) -> Stream:
        """A client's: open a stream. Numbers go upwards, oddly (section 2.3.2)."""
        self._last = self._last + 2 if self._last else 1
        stream = Stream(self, self._last, headers, ended=False)
        self._streams[stream.number] = stream
        await self.send(Open(stream.number, headers))
        return stream

    async def send(self, frame: Frame) -> None:
        """One frame whole: the order of compressed headers is theirs on the wire."""
        async with self._sending:
            await self._wire.write(self._encoder.encode(frame))

    def eased(self) -> None:
        self._room.set()

    def left(self, stream: Stream) -> None:
        self._streams.pop(stream.number, None)
        self._room.set()

    async def _until_room(self) -> None:
        while any(stream.is_full for stream in self._streams.values()):
            self._room.clear()
            await self._room.wait()

    async def _take(self, data: bytes) -> None:
        for frame in self._decoder.feed(data):
            match frame:
                case Open():
                    await self._open(frame)
                case Data(number, piece, fin):
                    if (stream := self._streams.get(number)) is not None:
                        stream.on_data(piece, fin)
                case Reset(number):
                    if (stream := self._streams.get(number)) is not None:
                        stream.on_reset()
                case Ping(number) if number % 2 == (
                    self._accepted is not None
                ):  # a client's are odd
                    await self.send(frame)
                case GoAway():
                    self._going = True

    async def _open(self, frame: Open) -> None:
        """A stream of the other side's, which must be a client."""
        if self._accepted is None or frame.stream % 2 == 0 or frame.stream <= self._last:
            await self.send(Reset(frame.stream, PROTOCOL_ERROR))
            return
        self._last = frame.stream
        if len(self._streams) >= self._most or self._going:
            await self.send(Reset(frame.stream, REFUSED_STREAM))
            return
        stream = Stream(self, frame.stream, frame.headers, frame.fin)
        self._streams[frame.stream] = stream
        await self.send(Reply(frame.stream, {}))
        self._accepted(stream)
