"""Requests that two readers may understand differently: of what is read by a server behind another one,
nothing is a request of its own, nor says who asks, that the first could not see."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import orjson
import pytest

from longshore.doors.kit.http import AnyReply, Reply, Request
from tests.doors.rig import ADMIN, Raw, kube, serving
from tests.permission.rig import JANE

EVIL = b"GET /evil HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


class Heard:
    """A server that keeps what it took for requests."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.port = 0

    async def handle(self, request: Request) -> AnyReply:
        self.requests.append(request)
        return Reply(200, b"{}")

    async def says(self, sent: bytes) -> int:
        """The status of the first answer; the connection is closed after it."""
        client = await Raw.to(self.port)
        client.send(sent)
        status, _, _ = await asyncio.wait_for(client.reply(), 60)
        assert await asyncio.wait_for(client.closed(), 60)
        await client.close()
        return status


@pytest.fixture
async def server() -> AsyncIterator[Heard]:
    heard = Heard()
    async with serving(heard.handle) as (_, heard.port):
        yield heard


AMBIGUOUS = {
    "length and chunks": POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + EVIL,
    "chunks and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + EVIL,
    "two lengths": POST + b"Content-Length: 0\r\nContent-Length: 34\r\n\r\n" + EVIL,
    "the same length twice": POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "a list of lengths": POST + b"Content-Length: 2, 2\r\n\r\n{}",
    "a signed length": POST + b"Content-Length: +2\r\n\r\n{}",
    "a negative length": POST + b"Content-Length: -2\r\n\r\n{}",
    "a hexadecimal length": POST + b"Content-Length: 0x2\r\n\r\n{}",
    "an empty length": POST + b"Content-Length: \r\n\r\n{}",
    "a space before the colon": POST + b"Content-Length : 2\r\n\r\n{}",
    "chunks with a space before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "chunked before another": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + EVIL,
    "two codings": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + EVIL,
    "chunked twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + EVIL,
    "a vertical tab": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + EVIL,
    "chunks of an old client": (
        b"POST /a HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + EVIL
    ),
    "a folded line": b"GET /a HTTP/1.1\r\nX-A: b\r\n Impersonate-User: root\r\n\r\n",
    "a folded first line": b"GET /a HTTP/1.1\r\n Host: x\r\n\r\n",
    "lines without carriage return": b"GET /a HTTP/1.1\nHost: x\nImpersonate-User: root\n\n",
    "a bare carriage return": b"GET /a HTTP/1.1\r\nX-A: b\rImpersonate-User: root\r\n\r\n",
    "a bare line feed": b"GET /a HTTP/1.1\r\nX-A: b\nImpersonate-User: root\r\n\r\n",
    "a nul": b"GET /a HTTP/1.1\r\nX-A: b\0c\r\n\r\n",
    "a header without a name": b"GET /a HTTP/1.1\r\n: b\r\n\r\n",
    "a name of two words": b"GET /a HTTP/1.1\r\nImpersonate User: root\r\n\r\n",
    "a header without a value": b"GET /a HTTP/1.1\r\nImpersonate-User\r\n\r\n",
    "a line feed in a chunk's extension": CHUNKED + b"2;a\nxx\r\n0\r\n\r\n" + EVIL,
    "line feeds between chunks": CHUNKED + b"2\nab\n0\n\n" + EVIL,
    "a space in a chunk's size": CHUNKED + b"2 \r\nab\r\n0\r\n\r\n" + EVIL,
    "a chunk's size as in C": CHUNKED + b"0x2\r\nab\r\n0\r\n\r\n" + EVIL,
    "a length in a trailer": CHUNKED + b"0\r\nContent-Length: 5\r\n\r\n" + EVIL,
    "a tab for a space": b"GET\t/a HTTP/1.1\r\nHost: x\r\n\r\n",
    "a space before the method": b" GET /a HTTP/1.1\r\nHost: x\r\n\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + EVIL,
}  # fmt: skip


@pytest.mark.parametrize("attack", AMBIGUOUS)
async def test_what_is_ambiguous_is_refused(server: Heard, attack: str) -> None:
    assert await server.says(AMBIGUOUS[attack]) == 400
    assert server.requests == []


@pytest.mark.parametrize("coding", [b"gzip, chunked", b"xchunked", b"identity"])
async def test_other_codings_are_not_known(server: Heard, coding: bytes) -> None:
    sent = POST + b"Transfer-Encoding: %b\r\n\r\n0\r\n\r\n" % coding + EVIL
    assert await server.says(sent) == 501
    assert server.requests == []


async def test_a_body_is_no_request(server: Heard) -> None:
    inner = EVIL * 2
    length = b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(inner)
    assert await server.says(b"GET /a HTTP/1.1\r\n" + length + inner) == 200
    assert [(one.path, one.body) for one in server.requests] == [("/a", inner)]


async def test_what_follows_a_refused_upgrade_is_no_request(server: Heard) -> None:
    upgrade = b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\n{}"
    assert await server.says(POST + upgrade + EVIL) == 200
    assert [one.path for one in server.requests] == ["/a"]


async def test_a_trailer_says_nothing_of_who_asks(server: Heard) -> None:
    """Whoever stands before the server has looked through the head."""
    head = POST + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    trailer = b"Impersonate-User: root\r\nImpersonate-Group: system:masters\r\nAuthorization: Bearer x\r\n"
    assert await server.says(head + b"2\r\n{}\r\n0\r\n" + trailer + b"\r\n") == 200
    [request] = server.requests
    assert set(request.headers) == {"host", "connection", "transfer-encoding"}
    assert request.repeated == {} and request.body == b"{}"


async def test_trailers_are_bounded_as_heads_are(server: Heard) -> None:
    trailer = b"".join(b"X-%d: y\r\n" % number for number in range(400))
    assert await server.says(CHUNKED + b"0\r\n" + trailer + b"\r\n") == 431
    assert server.requests == []


SPOKEN_FOR = (
    "X-Remote-User: root\r\nX-Remote-Group: system:masters",
    "X-Forwarded-User: root\r\nX-Forwarded-Groups: system:masters",
    "X-Forwarded-Client-Cert: Subject=\"O=system:masters,CN=root\"",
    "X-Ssl-Client-S-Dn: O=system:masters,CN=root",
    "Impersonate_User: root\r\nImpersonate_Group: system:masters",
    "Authorization: Basic cm9vdDpyb290",
    "Authorization: Bearer",
    "Authorization: Bearer x\r\nAuthorization: Bearer y",
    "Cookie: token=x",
    "Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.eA",
)  # fmt: skip


@pytest.mark.parametrize("headers", SPOKEN_FOR)
@pytest.mark.parametrize("who", [None, JANE], ids=["nobody", "jane"])
async def test_nobody_is_spoken_for_by_a_header(headers: str, who: object) -> None:
    """Only what came with the connection, or with a token, says who asks."""
    async with kube(roles=True) as ask:

        async def handle(request: Request) -> AnyReply:
            request.user = JANE if who else None
            return await ask.door.handle(request)

        async with serving(handle) as (_, port):
            client = await Raw.to(port)
            client.send(f"GET /api/v1/secrets HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n".encode())
            status, _, body = await asyncio.wait_for(client.reply(), 60)
            await client.close()
    assert status == (403 if who else 401)
    assert ADMIN.name not in orjson.loads(body)["message"]
