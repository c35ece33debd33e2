"""Rule 44, streams over SPDY: commands for clients that know no WebSocket, and ports of pods, tunnelled
through a WebSocket too (KEP-4006)."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path

import orjson

from longshore.core.streams.protocols import Answering
from longshore.core.streams.spdy.frames import Data, Decoder, Encoder, Frame, Open, Opened
from longshore.doors.kit.websocket import WebSocket

from .test_rule_44_streams import EXEC, World, messages, refused, world

FORWARD = "/api/v1/namespaces/default/pods/web/portforward"
TUNNEL = "SPDY/3.1+portforward.k8s.io"


class Client:
    """SPDY over a connection that was switched, or over a WebSocket on it."""

    def __init__(self, answer: Answering, *, tunnelled: bool = False) -> None:
        self.answer = answer
        socket = WebSocket(answer, client=True)
        self._read: Callable[[], Awaitable[bytes | None]] = answer.read
        self._write: Callable[[bytes], Awaitable[None]] = answer.write
        if tunnelled:
            self._read, self._write = socket.receive, socket.send
        self._encoder, self._decoder = Encoder(), Decoder()
        self.said: dict[int, bytes] = defaultdict(bytes)
        self.ended: set[int] = set()

    async def say(self, *frames: Frame) -> None:
        for frame in frames:
            await self._write(self._encoder.encode(frame))

    async def until_ended(self, *streams: int) -> None:
        async with asyncio.timeout(60):
            while not {*streams} <= self.ended:
                for frame in self._decoder.feed(await self._read() or b""):
                    self._take(frame)
        self.answer.close()

    def _take(self, frame: Frame) -> None:
        if isinstance(frame, Data):
            self.said[frame.stream] += frame.data
            self.ended |= {frame.stream} if frame.fin else set()
        else:
            assert isinstance(frame, Opened), frame


async def switched(it: World, path: str, *versions: str) -> Client:
    answer = await it.open(path, *versions, upgrade="SPDY/3.1", method="POST")
    assert answer.switched, await refused(answer)
    told = {name.lower(): value for name, value in answer.headers}
    assert (told["upgrade"], told["x-stream-protocol-version"]) == ("SPDY/3.1", versions[-1])
    return Client(answer)


def streams(*kinds: str) -> list[Frame]:
    return [Open(2 * at + 1, {"streamtype": kind}) for at, kind in enumerate(kinds)]


async def test_a_command_with_all_its_streams(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        path = f"{EXEC}?command=x&command=7&stdin=1&stdout=1&stderr=1"
        client = await switched(it, path, "v5.channel.k8s.io", "v4.channel.k8s.io")
        await client.say(*streams("error", "stdin", "stdout", "stderr"))
        await client.say(Data(3, b"hel"), Data(3, b"lo"), Data(3, b"", fin=True))
        await client.until_ended(1, 5, 7)
        assert (client.said[5], client.said[7]) == (b"HELLO", b"end of input")
        status = orjson.loads(client.said[1])
        assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "7"}]
        await asyncio.wait_for(it.node.sessions[0].closed.wait(), 20)


async def test_a_terminal_changes_its_size(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        path = f"{EXEC}?command=x&command=0&stdin=1&stdout=1&tty=1"
        client = await switched(it, path, "v4.channel.k8s.io")
        await client.say(*streams("error", "stdin", "stdout", "resize"))
        await client.say(Data(7, b'{"Width":120,"Hei'), Data(7, b'ght":40}\n'))
        while b"120x40" not in client.said[5]:
            for frame in client._decoder.feed(await client.answer.read()):
                client._take(frame)
        await client.say(Data(3, b"", fin=True))
        await client.until_ended(1)
        assert orjson.loads(client.said[1])["status"] == "Success"


async def test_ports_are_forwarded(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        for tunnelled in (False, True):
            if tunnelled:
                answer = await it.open(FORWARD, TUNNEL)
                assert answer.switched, await refused(answer)
                client = Client(answer, tunnelled=True)
            else:
                client = await switched(it, FORWARD, "portforward.k8s.io")
            for at, port in enumerate(("80", "80", "81")):
                own = {"port": port, "requestid": str(at)}
                await client.say(Open(4 * at + 1, {"streamtype": "error", **own}))
                await client.say(Open(4 * at + 3, {"streamtype": "data", **own}))
            await client.say(Data(3, b"one"), Data(7, b"two"), Data(7, b"", fin=True))
            await client.say(Data(3, b"", fin=True))
            await client.until_ended(1, 3, 5, 7, 9, 11)
            assert (client.said[3], client.said[7]) == (b"ONE", b"TWO")
            assert client.said[9] == b"error forwarding port 81: nobody listens there"


async def test_ports_are_forwarded_by_channels(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        answer = await it.open(f"{FORWARD}?ports=80&ports=81", "v4.channel.k8s.io")
        assert answer.switched, await refused(answer)
        socket = WebSocket(answer, client=True)
        await socket.send(b"\0hello")
        found = []
        while b"\0HELLO" not in found:
            found.append(await asyncio.wait_for(socket.receive(), 20))
        assert found[:2] == [b"\0P\0", b"\1P\0"]
        assert b"\3error forwarding port 81: nobody listens there" in found
        await socket.close()
        assert await messages(answer) == []


async def test_who_names_no_protocol_that_is_served_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        for path in (f"{EXEC}?command=x&stdout=1", FORWARD):
            answer = await it.open(path, "v9", upgrade="SPDY/3.1", method="POST")
            status, message = await refused(answer)
            assert status == 400 and "client supports [v9]" in message
