"""exec and attach over SPDY: a stream of its own for each channel.

Facts: apimachinery pkg/util/remotecommand/constants.go (protocols and stream types), k8s.io/kubelet
pkg/cri/streaming/remotecommand/httpstream.go (which streams a client opens, and how long it may take).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

from longshore.core.streams.protocols import ExecOptions
from longshore.core.streams.spdy.session import Session, Stream
from longshore.doors.kit.channels import CLOSE, ERROR, RESIZE, STDERR, STDIN, STDOUT, Channels
from longshore.doors.kit.http import Wire
from longshore.doors.kit.remote_command import Hear
from longshore.doors.kit.websocket import BadHandshake, is_upgrade

PROTOCOL = "SPDY/3.1"
_VERSION_HEADER = "X-Stream-Protocol-Version"
REMOTE_COMMAND = {
    one.name: one
    for one in (
        Channels("v4.channel.k8s.io", statuses=True),
        Channels("v3.channel.k8s.io"),
        Channels("v2.channel.k8s.io"),
        Channels("channel.k8s.io"),
    )
}
_TYPES = {"stdin": STDIN, "stdout": STDOUT, "stderr": STDERR, "error": ERROR, "resize": RESIZE}
# How long a client may take to open its streams.
_OPEN_S = 30.0
# Terminal sizes are JSON texts, one a line.
_SIZE_MAX_BYTES = 1024


def is_spdy(headers: Mapping[str, str]) -> bool:
    """Whether a request asks to switch to SPDY (names are lower-case)."""
    return is_upgrade(headers) and headers["upgrade"].strip().lower() == PROTOCOL.lower()


def negotiate(headers: Mapping[str, str], served: tuple[str, ...]) -> str:
    """The first of the client's protocols that is served; the oldest if it names none. Raises
    BadHandshake."""
    named = headers.get(_VERSION_HEADER.lower(), "")
    offered = [one.strip() for one in named.split(",") if one.strip()]
    for protocol in offered or served[-1:]:
        if protocol in served:
            return protocol
    raise BadHandshake(
        "unable to upgrade: unable to negotiate protocol: "
        f"client supports [{' '.join(offered)}], server accepts [{' '.join(served)}]"
    )


def accept(protocol: str) -> dict[str, str]:
    """The headers of a 101 that opens SPDY for this protocol above it."""
    return {"Upgrade": PROTOCOL, _VERSION_HEADER: protocol}


class SpdyLine:
    """A client's streams, each a channel."""

    def __init__(self, wire: Wire, channels: Channels) -> None:
        self.channels = channels
        self._session = Session(wire, self._accept)
        self._streams: dict[int, Stream] = {}
        self._news = asyncio.Event()
        self._pumps: asyncio.TaskGroup | None = None
        self._hear: Hear | None = None

    async def listen(self, hear: Hear) -> None:
        self._hear = hear
        async with asyncio.TaskGroup() as pumps:
            self._pumps = pumps
            with contextlib.suppress(ConnectionError):
                await self._session.run()

    async def begin(self, options: ExecOptions) -> None:
        wanted = {ERROR}
        wanted |= {_TYPES[one] for one in ("stdin", "stdout", "stderr") if getattr(options, one)}
        try:
            async with asyncio.timeout(_OPEN_S):
                while not wanted <= self._streams.keys():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise ConnectionAbortedError("the client did not open its streams") from None

    async def send(self, channel: int, data: bytes) -> None:
        if (stream := self._streams.get(channel)) is not None:
            await stream.write(data)

    async def close(self) -> None:
        for _, stream in sorted(self._streams.items()):
            await stream.finish()

    def _accept(self, stream: Stream) -> None:
        """A stream whose type is none of ours, or there already, is left alone."""
        channel = _TYPES.get(stream.headers.get("streamtype", ""))
        if channel is None or channel in self._streams:
            return
        self._streams[channel] = stream
        self._news.set()
        assert self._pumps is not None, "streams come while it listens"
        if channel == STDIN:
            self._pumps.create_task(self._pump_stdin(stream), name="stdin")
        elif channel == RESIZE:
            self._pumps.create_task(self._pump_sizes(stream), name="terminal sizes")

    async def _pump_stdin(self, stream: Stream) -> None:
        assert self._hear is not None
        with contextlib.suppress(ConnectionError):
            while data := await stream.read():
                await self._hear(STDIN, data)
            await self._hear(CLOSE, bytes((STDIN,)))

    async def _pump_sizes(self, stream: Stream) -> None:
        assert self._hear is not None
        rest = b""
        with contextlib.suppress(ConnectionError):
            while (data := await stream.read()) and len(rest) < _SIZE_MAX_BYTES:
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    await self._hear(RESIZE, line)
