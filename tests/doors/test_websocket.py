"""WebSocket and the remote command protocol: handshake, frames, bounds, and whatever bytes come."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage

from longshore.doors.kit import websocket
from longshore.doors.kit.channels import PROTOCOLS, BadMessage, exit_status, read_size
from longshore.doors.kit.websocket import BadHandshake, WebSocket

# The example of RFC 6455, section 1.3.
KEY, PROOF = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


class Script:
    """A wire that brings these bytes, then breaks."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)
        self.sent = b""

    async def read(self) -> bytes:
        if not self.pieces:
            raise ConnectionResetError
        return self.pieces.pop(0)

    async def write(self, data: bytes) -> None:
        self.sent += data

    def events(self) -> list[object]:
        """What a client makes of what was sent."""
        client = Connection(ConnectionType.CLIENT)
        client.receive_data(self.sent)
        return list(client.events())


def frames(*events: Event) -> bytes:
    client = Connection(ConnectionType.CLIENT)
    return b"".join(client.send(event) for event in events)


def test_the_handshake_of_the_rfc() -> None:
    headers = {"sec-websocket-version": "13", "sec-websocket-key": KEY}
    assert websocket.accept(headers, "")["Sec-WebSocket-Accept"] == PROOF
    for wrong in ({"sec-websocket-version": "8"}, {"sec-websocket-key": "short"}):
        with pytest.raises(BadHandshake):
            websocket.accept(headers | wrong, "")


def test_the_clients_first_protocol_that_is_served() -> None:
    offered = {"sec-websocket-protocol": "v9.channel.k8s.io, v4.channel.k8s.io,channel.k8s.io"}
    assert websocket.negotiate(offered, tuple(PROTOCOLS)) == "v4.channel.k8s.io"
    assert websocket.negotiate({}, tuple(PROTOCOLS)) == ""
    with pytest.raises(BadHandshake, match="server accepts"):
        websocket.negotiate({}, ("v5.channel.k8s.io",))


async def test_fragments_are_joined_and_pings_answered() -> None:
    sent = frames(
        BytesMessage(b"he", message_finished=False), Ping(b"you"), BytesMessage(b"llo"),
        TextMessage("grüezi"), CloseConnection(1000),
    )  # fmt: skip
    wire = Script(*(bytes((one,)) for one in sent))
    socket = WebSocket(wire)
    assert await socket.receive() == b"hello"
    assert await socket.receive() == "grüezi".encode()
    assert await socket.receive() is None
    pong, goodbye = wire.events()
    assert isinstance(pong, Pong) and pong.payload == b"you"
    assert isinstance(goodbye, CloseConnection) and goodbye.code == 1000


async def test_messages_are_bounded() -> None:
    wire = Script(frames(BytesMessage(b"x" * 6, message_finished=False), BytesMessage(b"x" * 6)))
    assert await WebSocket(wire, message_max_bytes=10).receive() is None
    (goodbye,) = wire.events()
    assert isinstance(goodbye, CloseConnection) and goodbye.code == websocket.TOO_BIG


@given(st.lists(st.binary(max_size=200), max_size=5))
async def test_whatever_comes_ends_in_messages_or_a_goodbye(pieces: list[bytes]) -> None:
    socket = WebSocket(Script(*filter(None, pieces)), message_max_bytes=100)
    try:
        while (message := await socket.receive()) is not None:
            assert len(message) <= 100
    except ConnectionResetError:
        pass


@given(st.sampled_from(sorted(PROTOCOLS)), st.sampled_from([0, 1, 2, 3, 4]), st.binary(max_size=99))
def test_channels_there_and_back(name: str, channel: int, data: bytes) -> None:
    channels = PROTOCOLS[name]
    assert channels.decode(channels.encode(channel, data)) == (channel, data)


@given(st.sampled_from(sorted(PROTOCOLS)), st.binary(max_size=99))
def test_any_message_is_read_or_refused(name: str, message: bytes) -> None:
    try:
        channel, _ = PROTOCOLS[name].decode(message)
    except BadMessage:
        assert PROTOCOLS[name].text
    else:
        assert 0 <= channel <= 255


@given(st.binary(max_size=60))
def test_any_resize_is_a_size_or_nothing(data: bytes) -> None:
    size = read_size(data)
    assert size is None or min(size) > 0


def test_sizes_and_statuses() -> None:
    assert read_size(b'{"Width":120,"Height":40}') == (120, 40)
    for wrong in (b'{"Width":0,"Height":4}', b'{"Width":true,"Height":4}', b"[]", b"{"):
        assert read_size(wrong) is None
    assert exit_status(0) == {"metadata": {}, "status": "Success"}
    assert PROTOCOLS["channel.k8s.io"].ending(0) == b""
    assert b"2" in PROTOCOLS["base64.channel.k8s.io"].ending(2)
    assert base64.b64encode(b"x") in PROTOCOLS["base64.channel.k8s.io"].encode(1, b"x")
