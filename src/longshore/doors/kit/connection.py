"""One HTTP/1.1 connection: a reader on one side, one task that answers in order on the other.

The task is the connection's only worker, so pipelined requests are answered in order, a client
that leaves cancels what it asked for, and a slow client slows nobody but itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from functools import partial
from math import inf
from typing import cast

from longshore.doors.kit import wire
from longshore.doors.kit.compress import Gzip, gzipped, mark_gzip, worth_gzip
from longshore.doors.kit.http import (
    AnyReply,
    Handler,
    Reply,
    SlicedReply,
    StreamReply,
    Takeover,
    plain_refusal,
)
from longshore.doors.kit.identity import good_until, user_of
from longshore.doors.kit.pulse import Pulse, ServerLimits
from longshore.doors.kit.reader import Incoming, Refused, RequestReader

log = logging.getLogger(__name__)

# Replies up to this size leave in one write with their head: one system call, one TLS record run.
_ONE_WRITE_BYTES = 64 * 1024
# Larger ones in slices, so that other connections have their turn between two.
_SLICE_BYTES = 256 * 1024


class Connection(asyncio.BufferedProtocol):
    """deadline is the pulse's time after which the server gives this connection up."""

    def __init__(
        self,
        handler: Handler,
        pulse: Pulse,
        limits: ServerLimits,
        refusal: Callable[[int, str], Reply] = plain_refusal,
    ) -> None:
        self.deadline = pulse.now + limits.handshake_s
        self._handler = handler
        self._pulse = pulse
        self._limits = limits
        self._refusal = refusal
        self._reader = RequestReader(limits.head_max_bytes, limits.body_max_bytes)
        self._refused: Refused | None = None
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._arrival: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reading_since = self._user_until = inf
        self._reading_paused = self._closing = self._streaming = self._talking = False
        self._end: Callable[[], None] | None = None
        self._unsent = b""

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        tls = transport.get_extra_info("ssl_object")
        self._reader.user, self._user_until = user_of(tls), good_until(tls)
        address = transport.get_extra_info("peername")
        self._reader.peer = address[0] if isinstance(address, tuple) else ""
        self.deadline = self._pulse.now + self._limits.request_read_s

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._pulse.buffer

    def buffer_updated(self, nbytes: int) -> None:
        reader = self._reader
        if self._pulse.wall >= self._user_until:
            reader.user = None
        if self._refused is None:
            try:
                reader.feed(self._pulse.buffer[:nbytes])
            except Refused as refused:
                self._refused = refused
        if reader.partial:
            self._on_partial()
        else:
            self._reading_since = inf
        if self._too_much_waits():
            self._pause_reading()
        self._wake()

    def _too_much_waits(self) -> bool:
        reader, limits = self._reader, self._limits
        if len(reader.ready) >= limits.pipeline_max or reader.held_bytes >= limits.body_max_bytes:
            return True
        return reader.upgraded is not None and len(reader.upgraded) >= _SLICE_BYTES

    def _on_partial(self) -> None:
        if self._reading_since == inf:
            self._reading_since = self._pulse.now
            if self._arrival is not None:
                self.deadline = self._pulse.now + self._limits.request_read_s
        if self._reader.wants_continue and self._arrival is not None and not self._reader.ready:
            self._continue()

    def _continue(self) -> None:
        self._reader.wants_continue = False
        if self._refused is None:
            self._write(wire.CONTINUE)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        if not self._lost.done():
            self._lost.set_result(None)
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._drained = asyncio.get_running_loop().create_future()
        limits = self._limits
        stall_s = limits.talk_stall_s if self._talking else limits.write_stall_s
        self.deadline = self._pulse.now + stall_s

    def resume_writing(self) -> None:
        drained, self._drained = self._drained, None
        self.deadline = inf
        if drained is not None and not drained.done():
            drained.set_result(None)

    # What the server calls.

    def finish(self) -> None:
        """End soon: an idle connection now, a busy one after its answer, a stream with its end."""
        self.deadline = self._pulse.now + self._limits.grace_s
        if self._streaming and self._task is not None:
            self._task.cancel()
        if self._end is not None:
            self._end()
        self._wake()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def run(self) -> None:
        """Answer until either side is done."""
        self._task = asyncio.current_task()
        try:
            while not self._closing:
                incoming = await self._next()
                if incoming is None:
                    break
                await self._answer(incoming)
            await self._part()
        except asyncio.CancelledError:
            self.abort()
            raise
        except Exception:  # the worker's rim: a fault of ours costs one connection, not the server
            log.exception("connection failed")
            self.abort()

    async def _part(self) -> None:
        """Close, and wait until what was written has left or the client's time for it is over."""
        self._task = None
        self._send_unsent()
        self.deadline = self._pulse.now + self._limits.write_stall_s
        assert self._transport is not None
        if self._refused is not None:
            await self._linger(self._transport)
        self._transport.close()
        await self._lost

    async def _linger(self, transport: asyncio.Transport) -> None:
        """After a refusal the client may still be sending: closing now would reset the connection
        before it has read why. So what comes is dropped until the client closes, for a while."""
        self.deadline = self._pulse.now + self._limits.linger_s
        if self._reading_paused:
            self._resume_reading()
        if transport.can_write_eof():
            transport.write_eof()
        await self._lost

    # The worker's steps.

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            reader = self._reader
            if reader.ready or reader.upgraded is not None or self._refused or self._pulse.stopping:
                self._arrival.set_result(None)

    async def _next(self) -> Incoming | None:
        reader = self._reader
        while not reader.ready:
            if self._refused is not None:
                await self._refuse(self._refused)
                return None
            if self._pulse.stopping or reader.upgraded is not None:
                return None
            await self._wait_for_bytes()
        incoming = reader.next()
        self.deadline = inf
        if self._reading_paused:
            self._resume_reading()
        return incoming

    async def _wait_for_bytes(self) -> None:
        limits, now = self._limits, self._pulse.now
        if self._reading_since == inf:
            self.deadline = now + limits.idle_s
        else:
            self.deadline = self._reading_since + limits.request_read_s
        if self._reader.wants_continue:
            self._continue()
        self._arrival = asyncio.get_running_loop().create_future()
        try:
            await self._arrival
        finally:
            self._arrival = None

    async def _answer(self, incoming: Incoming) -> None:
        keep = incoming.keep_alive and self._reader.upgraded is None
        reply = await self._ask(incoming)
        keep = keep and not self._pulse.stopping
        if not keep:
            self._closing = True
        if isinstance(reply, Reply):
            await self._send(incoming, reply, keep)
        elif isinstance(reply, SlicedReply):
            await self._send_slices(incoming, reply, keep)
        elif isinstance(reply, StreamReply):
            await self._stream(incoming, reply, keep)
        else:
            await self._hand_over(reply)

    async def _ask(self, incoming: Incoming) -> AnyReply:
        try:
            return await self._handler(incoming.request)
        except Exception:  # the worker's rim: a fault of ours costs one request
            log.exception("handler failed: %s %s", incoming.request.method, incoming.request.path)
            return self._refusal(500, "internal error")

    async def _refuse(self, refused: Refused) -> None:
        self._closing = True
        reply = self._refusal(refused.status, refused.message)
        await self._write_whole(
            self._head(reply, wire.length(len(reply.body)), keep=False), reply.body
        )

    async def _send(self, incoming: Incoming, reply: Reply, keep: bool) -> None:
        body = reply.body
        if worth_gzip(incoming.request, reply):
            body = gzipped(body)
            mark_gzip(reply)
        framing = b"" if reply.status in wire.BODILESS else wire.length(len(body))
        head = self._head(reply, framing, keep)
        await self._write_whole(head, b"" if incoming.request.method == "HEAD" else body)

    async def _send_slices(self, incoming: Incoming, reply: SlicedReply, keep: bool) -> None:
        gzip = Gzip() if worth_gzip(incoming.request, reply) else None
        if gzip is not None:
            mark_gzip(reply)
        chunks = incoming.chunks
        self._closing = self._closing or not chunks
        self._write(self._head(reply, wire.framing(None, chunks), keep and chunks))
        if incoming.request.method == "HEAD":
            return
        await self._write_slices(reply.slices, chunks, gzip)
        if chunks:
            self._write(wire.LAST_CHUNK)

    def _head(self, reply: Reply | SlicedReply | StreamReply, framing: bytes, keep: bool) -> bytes:
        close = b"" if keep else wire.CLOSE
        more = wire.lines(reply.repeated) if isinstance(reply, StreamReply) else b""
        return wire.head(
            reply.status, reply.content_type, reply.headers, more, framing, self._pulse.date, close
        )

    async def _write_whole(self, head: bytes, body: bytes) -> None:
        if len(body) <= _ONE_WRITE_BYTES:
            self._write_soon(head + body)
        else:
            self._write(head)
            await self._write_slices(_cut(memoryview(body)))
        if self._drained is not None:
            await self._drained

    async def _write_slices(
        self, slices: Iterator[wire.Data], chunks: bool = False, gzip: Gzip | None = None
    ) -> None:
        while True:
            async with self._pulse.heavy:
                piece = next(slices, None)
                if piece is None:
                    break
                self._write_framed(piece if gzip is None else gzip.of(piece), chunks)
                await _turn()
            if self._drained is not None:
                await self._drained
        if gzip is not None:
            self._write_framed(gzip.rest(), chunks)

    async def _stream(self, incoming: Incoming, reply: StreamReply, keep: bool) -> None:
        bodiless = incoming.request.method == "HEAD" or reply.status in wire.BODILESS
        chunks = incoming.chunks and reply.length is None and not bodiless
        framed = chunks or bodiless or reply.length is not None
        self._closing = self._closing or not framed
        self._write(self._head(reply, wire.framing(reply.length, chunks), keep and framed))
        self._streaming = True
        try:
            await self._pump(reply, chunks, bodiless)
        except asyncio.CancelledError:
            if not self._ending():
                raise
        except ConnectionError as error:
            log.debug("stream broke off: %s: %s", incoming.request.path, error)
            self.abort()
            return
        except Exception:  # the worker's rim: a stream cut short is all a client can see
            log.exception("stream failed: %s", incoming.request.path)
            self.abort()
            return
        finally:
            self._streaming = False
        if chunks:
            self._write(wire.LAST_CHUNK)

    def _ending(self) -> bool:
        """Whether a cancelled stream shall end well, because the server stops."""
        if not self._pulse.stopping or self._transport is None or self._transport.is_closing():
            return False
        assert self._task is not None
        self._task.uncancel()
        self._closing = True
        return True

    async def _pump(self, reply: StreamReply, chunks: bool, bodiless: bool) -> None:
        pieces = reply.pieces
        try:
            if bodiless:
                return
            write = partial(self._push, chunks)
            if reply.pushed is not None:
                reply.pushed(write)
            async for piece in pieces:
                if not write(piece) and self._drained is not None:
                    await self._drained
        finally:
            await pieces.aclose()

    def _push(self, chunks: bool, piece: bytes) -> bool:
        """Write a piece of a stream; whether there is room for another."""
        self._write(self._pulse.chunk(piece) if chunks else piece)
        return self._drained is None

    async def _hand_over(self, takeover: Takeover) -> None:
        self._closing = True
        if self._reader.upgraded is None:
            reply = self._refusal(400, "an upgrade was expected")
            await self._write_whole(
                self._head(reply, wire.length(len(reply.body)), keep=False), reply.body
            )
            return
        upgrade = wire.head(101, "", takeover.headers, b"Connection: Upgrade\r\n", self._pulse.date)
        self._write(upgrade)
        self.deadline = inf
        self._end, self._talking = takeover.end, takeover.end is None
        with contextlib.suppress(ConnectionError):
            await takeover.talk(_RawWire(self))

    # Bytes out, and flow.

    def _write_soon(self, data: bytes) -> None:
        """Behind this turn of the loop: what answers one request after another, and then encrypts and
        sends one answer after another, takes a sixth less than doing both for each. Pipelined
        answers are one write."""
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self._send_unsent)
        self._unsent += data
        if len(self._unsent) > _ONE_WRITE_BYTES:
            self._send_unsent()

    def _send_unsent(self) -> None:
        data, self._unsent = self._unsent, b""
        self._write(data)

    def _write(self, data: bytes | memoryview) -> None:
        if self._unsent:
            self._send_unsent()
        if self._transport is not None and data and not self._transport.is_closing():
            self._transport.write(data)

    def _write_framed(self, data: wire.Data, chunks: bool) -> None:
        """As a chunk of its own; not copied for it."""
        if chunks and data and self._transport is not None and not self._transport.is_closing():
            self._transport.writelines((wire.chunk_size(data), data, wire.CRLF))
        elif not chunks:
            self._write(data)

    def _pause_reading(self) -> None:
        if not self._reading_paused and self._transport is not None:
            self._reading_paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._reading_paused = False
            self._transport.resume_reading()

    async def raw_read(self) -> bytes:
        """Bytes of a connection that was handed over."""
        while not self._reader.upgraded:
            if self._reading_paused:
                self._resume_reading()
            self._arrival = asyncio.get_running_loop().create_future()
            try:
                await self._arrival
            finally:
                self._arrival = None
        data, self._reader.upgraded = self._reader.upgraded, b""
        return data

    async def raw_write(self, data: bytes) -> None:
        self._write(data)
        if self._drained is not None:
            await self._drained


class _RawWire:
    def __init__(self, connection: Connection) -> None:
        self.read = connection.raw_read
        self.write = connection.raw_write


def _cut(body: memoryview) -> Iterator[memoryview]:
    return (body[at : at + _SLICE_BYTES] for at in range(0, len(body), _SLICE_BYTES))


async def _turn() -> None:
    """Let everyone else run once."""
    loop = asyncio.get_running_loop()
    turn = loop.create_future()
    loop.call_soon(turn.set_result, None)
    await turn
