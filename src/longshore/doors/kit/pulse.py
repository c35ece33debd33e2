"""What the connections of a server have in common: its bounds, its time, a buffer, and whose turn it is."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from longshore.base.limits import REQUEST_BODY_MAX_BYTES
from longshore.doors.kit import wire

# What one read may bring.
_READ_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """Bounds of a server. idle_s and the body's bound are the Kubernetes API server's own; a
    request must be whole within request_read_s of its first byte, however it trickles."""

    connections_max: int = 16_384
    head_max_bytes: int = 64 * 1024
    body_max_bytes: int = REQUEST_BODY_MAX_BYTES
    pipeline_max: int = 16
    handshake_s: float = 10.0
    idle_s: float = 90.0
    request_read_s: float = 60.0
    write_stall_s: float = 60.0
    # As long as the kubelet lets a session be silent (streamingConnectionIdleTimeout).
    talk_stall_s: float = 4 * 3600.0
    linger_s: float = 2.0
    grace_s: float = 5.0


class Pulse:
    """What all connections of a server share: a coarse time and the Date line that goes with it,
    renewed once a second, so that no request asks the clock; one buffer to read into, since
    whoever reads also parses before the next one reads (a buffer for each read costs an mmap); and
    whose turn it is to send a slice of a large answer."""

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(_READ_BYTES))
        self.now = 0.0
        self.wall = 0.0
        self.date = b""
        self.stopping = False
        # One large slice a turn, whoever it is for: heavy answers delay others by one at most.
        self.heavy = asyncio.Lock()
        self._piece = self._chunk = b""

    def chunk(self, piece: bytes) -> bytes:
        """A piece of a stream as a chunk: made once if many send the same one after another."""
        if piece is not self._piece:
            self._piece, self._chunk = piece, wire.chunk(piece)
        return self._chunk
