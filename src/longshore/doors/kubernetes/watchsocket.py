"""Watches over WebSocket: every event is a message of its own, in text.

As upstream tells them (apiserver/pkg/endpoints/handlers/watch.go HandleWS), whatever protocol the
client names: the log's binary and base64 ones change nothing here. What the client says is dropped.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from longshore.core.objects.errors import BadRequest
from longshore.doors.kit import relay, websocket
from longshore.doors.kit.http import Takeover, Wire
from longshore.doors.kit.websocket import BadHandshake, WebSocket
from longshore.doors.kubernetes.watching import Watch

# Clients have nothing to say but goodbye.
_HEARD_MAX_BYTES = 64 * 1024


def handshake(headers: Mapping[str, str]) -> dict[str, str]:
    """What the 101 says to a request for a WebSocket. Raises BadRequest: also if it offers several
    protocols, of which upstream's server would choose none either (golang.org/x/net/websocket)."""
    offered = headers.get("sec-websocket-protocol", "")
    if "," in offered:
        raise BadRequest("a watch is told in one protocol: offer one, or none")
    try:
        return websocket.accept(headers, offered.strip())
    except BadHandshake as error:
        raise BadRequest(str(error)) from None


def watch_takeover(accepted: dict[str, str], watch: Watch) -> Takeover:
    """The watch as messages, until it is over or the client leaves."""

    async def talk(wire: Wire) -> None:
        socket = WebSocket(wire, message_max_bytes=_HEARD_MAX_BYTES)
        await relay.until_first(_tell(socket, watch), socket.drain())

    return Takeover(talk, accepted, watch.end)


async def _tell(socket: WebSocket, watch: Watch) -> None:
    async with contextlib.aclosing(watch):
        async for piece in watch:
            # A line has no line break within: the JSON is compact.
            await socket.send_all(piece.splitlines(keepends=True), text=True)
    await socket.close()
