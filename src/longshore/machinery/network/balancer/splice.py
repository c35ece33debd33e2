"""Two connections joined into one: bytes, back-pressure, half-closed ends and failures pass through."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast


class Side(asyncio.Protocol):
    """One end of a splice. closed is called once, when this end is gone."""

    def __init__(self, closed: Callable[[], None] = lambda: None) -> None:
        self.peer: Side | None = None
        self.transport: asyncio.Transport | None = None
        self._closed = closed
        self._ended = False
        # uvloop begins to read after connection_made whatever that asked for, so something may
        # come before there is a peer: one piece at most, since data_received pauses then.
        self._early: list[bytes] = []
        # The peer cannot take more for now.
        self._held = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if self.peer is None:
            # Nobody is there yet to pass anything on to: the kernel's buffer is the bound.
            self.transport.pause_reading()

    def join(self, peer: Side) -> None:
        """Pass on to that side from now on, and it to this one."""
        self.peer, peer.peer = peer, self
        if any(side.transport is None or side.transport.is_closing() for side in (self, peer)):
            self.abort()
            peer.abort()
            return
        for side in (self, peer):
            side._catch_up()

    def _catch_up(self) -> None:
        assert self.peer is not None
        assert self.peer.transport is not None
        assert self.transport is not None
        for data in self._early:
            self.peer.transport.write(data)
        self._early.clear()
        if self._ended:
            self.peer.transport.write_eof()
        elif not self._held:
            self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.write(data)
        elif self.transport is not None:
            self._early.append(data)
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        """One direction has ended; the other may still have much to say. True keeps it open."""
        self._ended = True
        if self.peer is None or self.peer.transport is None:
            return True
        if self.peer._ended:
            # Both have: what is still buffered goes out, then they close.
            self.peer.transport.close()
            return False
        if not self.peer.transport.is_closing():
            self.peer.transport.write_eof()
        return True

    def pause_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer._held = True
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer._held = False
            self.peer.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed()
        if self.peer is not None and self.peer.transport is not None:
            if exc is not None:
                self.peer.abort()
            else:
                self.peer.transport.close()

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()
