"""SPDY/3.1: frames there and back, bounds, whatever bytes come, and streams over a wire."""

from __future__ import annotations

import asyncio
import contextlib
import struct
import zlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.base.clock import SystemClock
from longshore.core.streams.spdy import session as sessions
from longshore.core.streams.spdy.dictionary import DICTIONARY
from longshore.core.streams.spdy.frames import (
    FRAME_MAX_BYTES,
    HEADERS_MAX_BYTES,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    BadFrame,
    Data,
    Decoder,
    Encoder,
    Frame,
    GoAway,
    Open,
    Opened,
    Ping,
    Reset,
)
from longshore.core.streams.spdy.session import Session, Stream
from longshore.doors.kit.spdy_line import REMOTE_COMMAND, accept, negotiate
from longshore.doors.kit.websocket import BadHandshake

# The id of SPDY/3's dictionary, by which zlib knows it (draft-mbelshe-httpbis-spdy-00, 2.6.10.1).
DICTIONARY_ID = 0xE3C6A7C2

_numbers = st.integers(0, 2**31 - 1)
_words = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
_headers = st.dictionaries(_words.map(str.lower), _words, max_size=5)
_frames = st.one_of(
    st.builds(Data, _numbers, st.binary(max_size=200), st.booleans()),
    st.builds(Open, _numbers, _headers, st.booleans()),
    st.builds(Opened, _numbers, _headers, st.booleans()),
    st.builds(Reset, _numbers, st.integers(0, 2**32 - 1)),
    st.builds(Ping, st.integers(0, 2**32 - 1)),
    st.builds(GoAway, _numbers, st.integers(0, 2**32 - 1)),
)


def written(*frames: Frame) -> bytes:
    encoder = Encoder()
    return b"".join(encoder.encode(frame) for frame in frames)


def read(data: bytes) -> list[Frame]:
    return list(Decoder().feed(data))


def test_the_dictionary_is_the_drafts() -> None:
    assert zlib.adler32(DICTIONARY) == DICTIONARY_ID


@given(st.lists(_frames, max_size=8), st.lists(st.integers(1, 50), max_size=20))
def test_frames_there_and_back_however_they_are_cut(
    frames: list[Frame], cuts: Sequence[int]
) -> None:
    data, decoder = written(*frames), Decoder()
    found: list[Frame] = []
    for size in cuts:
        piece, data = data[:size], data[size:]
        found += decoder.feed(piece)
    found += decoder.feed(data)
    assert found == frames


@given(st.binary(max_size=300))
def test_any_bytes_are_frames_or_refused(data: bytes) -> None:
    decoder = Decoder()
    with contextlib.suppress(BadFrame):
        for at in range(0, len(data), 7):
            list(decoder.feed(data[at : at + 7]))


@given(st.lists(_frames, min_size=1, max_size=4), st.data())
def test_a_spoilt_frame_is_refused_or_read(frames: list[Frame], drawn: st.DataObject) -> None:
    data = bytearray(written(*frames))
    data[drawn.draw(st.integers(0, len(data) - 1))] = drawn.draw(st.integers(0, 255))
    with contextlib.suppress(BadFrame):
        read(bytes(data))


def test_what_is_too_large_is_refused_before_it_is_there() -> None:
    with pytest.raises(BadFrame, match=f"more than {FRAME_MAX_BYTES}"):
        read(struct.pack(">II", 1, FRAME_MAX_BYTES + 1))
    bomb = written(Open(1, {"a": "x" * 1_000_000}))
    assert len(bomb) < HEADERS_MAX_BYTES
    with pytest.raises(BadFrame, match=f"more than {HEADERS_MAX_BYTES}"):
        read(bomb)
    with pytest.raises(BadFrame, match="version 2"):
        read(struct.pack(">II", 0x8002_0006, 4) + bytes(4))


def test_the_clients_first_protocol_that_is_served() -> None:
    served = tuple(REMOTE_COMMAND)
    asked = {"x-stream-protocol-version": "v5.channel.k8s.io, v4.channel.k8s.io, channel.k8s.io"}
    assert negotiate(asked, served) == "v4.channel.k8s.io"
    assert negotiate({}, served) == "channel.k8s.io"
    assert accept("v4.channel.k8s.io")["Upgrade"] == "SPDY/3.1"
    with pytest.raises(BadHandshake, match="client supports"):
        negotiate({"x-stream-protocol-version": "v9"}, served)


class Peer:
    """A client, by hand: what it says goes to the session, what it hears are frames."""

    def __init__(self, streams_max: int = sessions.STREAMS_MAX) -> None:
        self._said: asyncio.Queue[bytes] = asyncio.Queue()
        self._encoder, self._decoder = Encoder(), Decoder()
        self.heard: list[Frame] = []
        self.accepted: list[Stream] = []
        self.session = Session(self, self.accepted.append, streams_max=streams_max)

    async def read(self) -> bytes:
        if not (data := await self._said.get()):
            raise ConnectionResetError
        return data

    async def write(self, data: bytes) -> None:
        self.heard += self._decoder.feed(data)

    def say(self, *frames: Frame) -> None:
        self._said.put_nowait(b"".join(map(self._encoder.encode, frames)))

    def leave(self) -> None:
        self._said.put_nowait(b"")

    async def through(self) -> None:
        """Let the session go on until it waits for more."""
        for _ in range(20):
            await SystemClock().sleep(0)


@pytest.fixture
async def peer() -> Peer:
    return Peer()


async def served(peer: Peer) -> None:
    with pytest.raises(ConnectionResetError):
        await peer.session.run()


async def test_a_stream_carries_bytes_both_ways(peer: Peer) -> None:
    running = asyncio.ensure_future(served(peer))
    peer.say(Open(1, {"streamtype": "data"}), Data(1, b"hel"), Data(1, b"lo", fin=True))
    await peer.through()
    (stream,) = peer.accepted
    assert stream.headers == {"streamtype": "data"}
    assert await stream.read() == b"hello"
    assert await stream.read() == b""
    await stream.write(b"x" * (sessions.PIECE_BYTES + 1))
    await stream.finish()
    await stream.write(b"too late")
    assert peer.heard == [
        Opened(1, {}), Data(1, b"x" * sessions.PIECE_BYTES), Data(1, b"x"), Data(1, b"", fin=True)
    ]  # fmt: skip
    peer.leave()
    await running


async def test_pings_are_answered_and_streams_given_up(peer: Peer) -> None:
    running = asyncio.ensure_future(served(peer))
    peer.say(Ping(7), Ping(8), Open(1, {}), Reset(1))
    await peer.through()
    assert peer.heard == [Ping(7), Opened(1, {})]
    with pytest.raises(ConnectionResetError):
        await peer.accepted[0].read()
    peer.leave()
    await running


async def test_whoever_waits_for_a_stream_hears_that_the_client_has_left(peer: Peer) -> None:
    running = asyncio.ensure_future(served(peer))
    peer.say(Open(1, {}))
    await peer.through()
    reading = asyncio.ensure_future(peer.accepted[0].read())
    await peer.through()
    peer.leave()
    await running
    with pytest.raises(ConnectionResetError):
        await reading


async def test_streams_are_numbered_upwards_oddly_and_not_too_many() -> None:
    peer = Peer(streams_max=2)
    running = asyncio.ensure_future(served(peer))
    peer.say(Open(3, {}), Open(1, {}), Open(4, {}), Open(5, {}), Open(7, {}))
    await peer.through()
    assert [frame for frame in peer.heard if isinstance(frame, Reset)] == [
        Reset(1, PROTOCOL_ERROR), Reset(4, PROTOCOL_ERROR), Reset(7, REFUSED_STREAM)
    ]  # fmt: skip
    peer.leave()
    await running


async def test_what_nobody_reads_stops_the_connection(peer: Peer) -> None:
    running = asyncio.ensure_future(served(peer))
    piece = b"x" * FRAME_MAX_BYTES
    peer.say(Open(1, {}), Data(1, piece), Data(1, b"!"))
    peer.say(Ping(1))
    await peer.through()
    assert peer.heard == [Opened(1, {})]
    assert await peer.accepted[0].read() == piece + b"!"
    await peer.through()
    assert peer.heard == [Opened(1, {}), Ping(1)]
    peer.leave()
    await running


async def test_a_goodbye_ends_it_once_no_stream_is_left(peer: Peer) -> None:
    running = asyncio.ensure_future(peer.session.run())
    peer.say(Open(1, {}), GoAway(0))
    await peer.through()
    await peer.accepted[0].finish()
    assert not running.done()
    peer.say(Data(1, b"", fin=True))
    await asyncio.wait_for(running, 30)


async def test_a_broken_rule_ends_it_with_a_word(peer: Peer) -> None:
    running = asyncio.ensure_future(peer.session.run())
    peer.say(Open(1, {}))
    peer._said.put_nowait(struct.pack(">II", 1, FRAME_MAX_BYTES + 1))
    await asyncio.wait_for(running, 30)
    assert peer.heard == [Opened(1, {}), GoAway(1, PROTOCOL_ERROR)]


class Cable:
    """One end of a connection within the process."""

    def __init__(self, into: asyncio.Queue[bytes], out: asyncio.Queue[bytes]) -> None:
        self._into, self._out = into, out

    async def read(self) -> bytes:
        return await self._into.get()

    async def write(self, data: bytes) -> None:
        self._out.put_nowait(data)


async def test_a_client_begins_streams_and_hears_their_end() -> None:
    there: asyncio.Queue[bytes] = asyncio.Queue()
    back: asyncio.Queue[bytes] = asyncio.Queue()
    accepted: list[Stream] = []
    server = Session(Cable(there, back), accepted.append)
    client = Session(Cable(back, there), None)
    async with asyncio.timeout(60), asyncio.TaskGroup() as both:
        running = [both.create_task(one.run()) for one in (server, client)]
        first = await client.begin({"streamtype": "stdin"})
        second = await client.begin({"streamtype": "stdout"})
        await first.write(b"asked")
        await first.finish()
        while len(accepted) < 2:
            await SystemClock().sleep(0.001)
        assert [one.headers["streamtype"] for one in accepted] == ["stdin", "stdout"]
        assert await accepted[0].read() == b"asked"
        await accepted[1].write(b"answered")
        assert await second.read() == b"answered"
        await accepted[1].finish()
        assert await second.read() == b""
        assert (first.number, second.number) == (1, 3)
        for task in running:
            task.cancel()
