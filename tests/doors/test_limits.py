"""Bad requests over the wire, plain and through TLS: each is refused, or read as it is meant, within
a bound of time and of memory, and the connection or the server is as good as before."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import ssl
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from longshore.base.clock import SystemClock
from longshore.base.limits import REQUEST_BODY_MAX_BYTES
from longshore.core.pki.authority import Authority
from longshore.core.pki.tls import client_context, server_context
from longshore.doors.kit.http import AnyReply, Reply, Request
from longshore.doors.kit.pulse import ServerLimits
from longshore.testing.clock import VirtualClock

from .rig import ADMIN, Kube, Raw, config_map, echo, kube, serving

MAPS = "/api/v1/namespaces/default/configmaps"
MEGABYTE = 1024 * 1024
# What a request may cost: some copies of its bytes on either side. A bomb would cost gigabytes.
_ROOM = 24 * REQUEST_BODY_MAX_BYTES


class Door:
    """A door behind a server, and clients of it."""

    def __init__(self, ask: Kube, port: int, tls: ssl.SSLContext | None) -> None:
        self.ask, self.port, self.tls = ask, port, tls

    async def client(self) -> Raw:
        return await Raw.to(self.port, self.tls)

    async def refuses(self, sent: bytes, status: int, reason: str) -> str:
        """The message of a Status with which what is sent is refused in time."""
        client = await self.client()
        client.send(sent)
        code, headers, body = await asyncio.wait_for(client.reply(), 60)
        await client.close()
        refused = json.loads(body)
        assert (code, refused["code"], refused["reason"]) == (status, status, reason), refused
        assert (refused["kind"], refused["status"]) == ("Status", "Failure")
        assert headers["content-type"] == "application/json"
        await self.still_serves()
        return str(refused["message"])

    async def still_serves(self) -> None:
        client = await self.client()
        client.send(_request("GET", MAPS))
        assert (await asyncio.wait_for(client.reply(), 60))[0] == 200
        await client.close()


def _request(method: str, path: str, *headers: str, body: bytes = b"") -> bytes:
    length = f"Content-Length: {len(body)}" if body else ""
    lines = [f"{method} {path} HTTP/1.1", "Host: x", *headers, *filter(None, [length])]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@contextlib.asynccontextmanager
async def _door(folder: Path, secure: bool) -> AsyncIterator[Door]:
    async with kube() as ask:

        async def as_master(request: Request) -> AnyReply:
            return await ask.door.handle(replace(request, user=ADMIN))

        server, client = _contexts(folder) if secure else (None, None)
        async with serving(as_master, tls=server, refusal=ask.door.refusal) as (_, port):
            yield Door(ask, port, client)


def _contexts(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    authority = Authority(folder, SystemClock())
    pair = authority.server("localhost", ["127.0.0.1"])
    admin = authority.client("admin", "jane", ["system:masters"])
    certificate = authority.pair.certificate
    return server_context(pair, certificate), client_context(admin, certificate)


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
async def door(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Door]:
    async with _door(tmp_path, request.param) as served:
        yield served


@contextlib.contextmanager
def _in_little_room(most: int = _ROOM) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


# --- large bodies ---


async def test_a_body_that_says_it_is_too_large_is_not_read(door: Door) -> None:
    with _in_little_room(REQUEST_BODY_MAX_BYTES):
        head = _request("POST", MAPS, f"Content-Length: {REQUEST_BODY_MAX_BYTES + 1}")
        message = await door.refuses(head, 413, "RequestEntityTooLarge")
    assert message == "Request entity too large: limit is 3145728"


async def test_whoever_waits_to_send_too_much_is_not_asked_to(door: Door) -> None:
    head = _request("POST", MAPS, "Content-Length: 4000000", "Expect: 100-continue")
    await door.refuses(head, 413, "RequestEntityTooLarge")


async def test_a_chunked_body_without_end_is_cut_off(door: Door) -> None:
    """The client goes on sending; it is read no further than the bound, and told so."""
    client = await door.client()
    with _in_little_room():
        client.send(_request("POST", MAPS, "Transfer-Encoding: chunked"))
        chunk = b"%x\r\n%b\r\n" % (65536, b"a" * 65536)
        for _ in range(REQUEST_BODY_MAX_BYTES // 65536 + 1):
            client.send(chunk)
            await client.writer.drain()
        status, headers, body = await asyncio.wait_for(client.reply(), 60)
    assert (status, json.loads(body)["reason"]) == (413, "RequestEntityTooLarge")
    assert headers["connection"] == "close"
    await client.close()
    await door.still_serves()


async def test_a_body_just_small_enough_is_read(door: Door) -> None:
    doc = json.dumps(config_map("large")).encode()
    client = await door.client()
    client.send(_request("POST", MAPS, body=doc + b" " * (REQUEST_BODY_MAX_BYTES - len(doc))))
    assert (await asyncio.wait_for(client.reply(), 60))[0] == 201
    await client.close()


async def test_waiting_bodies_are_bounded_together() -> None:
    """Whoever pipelines bodies waits until those before are answered."""
    gate = asyncio.Event()

    async def wait(request: Request) -> Reply:
        await gate.wait()
        return await echo(request)

    async with serving(wait) as (_, port):
        client = await Raw.to(port)
        sending = asyncio.ensure_future(_send_all(client, 15, 2 * MEGABYTE))
        done, _ = await asyncio.wait((sending,), timeout=0.5)
        assert not done  # what the machine's own buffers take is less than all
        gate.set()
        sizes = [json.loads((await client.reply())[2])["size"] for _ in range(15)]
        await sending
        assert sizes == [2 * MEGABYTE] * 15
        await client.close()


async def _send_all(client: Raw, times: int, size: int) -> None:
    for _ in range(times):
        client.send(_request("POST", "/", body=b" " * size))
        await client.writer.drain()


async def test_a_gzip_bomb_is_not_unpacked(door: Door) -> None:
    """Bodies are taken as they come, as upstream takes them: that is no JSON."""
    bomb = gzip.compress(b"[" * (200 * MEGABYTE), 9)
    with _in_little_room():
        await door.refuses(
            _request("POST", MAPS, "Content-Encoding: gzip", body=bomb), 400, "BadRequest"
        )


_ALIASES = b"a0: &a0 [x]\n" + b"".join(
    b"a%d: &a%d [*a%d, *a%d, *a%d]\n" % (n, n, n - 1, n - 1, n - 1) for n in range(1, 60)
)


@pytest.mark.parametrize(
    ("media", "body"),
    [
        ("application/json", b"[" * 1_500_000 + b"]" * 1_500_000),
        ("application/json", b'{"a":' * 300_000 + b"1" + b"}" * 300_000),
        ("application/yaml", b"[" * 1_000_000),
        ("application/yaml", _ALIASES),
        ("application/json", b'{"metadata":{"name":"\xff"}}'),
        ("application/json", b"\0" * 1000),
        ("application/json", b'{"metadata":{"generation":1' + b"0" * 2_000_000 + b"}}"),
    ],
    ids=["lists", "objects", "yaml lists", "aliases", "not utf-8", "nul", "a long number"],
)
async def test_bombs_are_refused_in_little_room(door: Door, media: str, body: bytes) -> None:
    with _in_little_room():
        request = _request("POST", MAPS, f"Content-Type: {media}", body=body)
        await door.refuses(request, 400, "BadRequest")


async def test_yaml_that_takes_seconds_to_read_is_refused_as_such(door: Door) -> None:
    body = b"metadata: {name: x}\nq: [" + b"a," * 1_400_000 + b"a]"
    request = _request("POST", MAPS, "Content-Type: application/yaml", body=body)
    message = await door.refuses(request, 413, "RequestEntityTooLarge")
    assert "more than 100000 keys and values in YAML" in message


async def test_of_what_is_wrong_very_often_a_part_is_listed(door: Door) -> None:
    doc = config_map("c")
    doc["metadata"]["labels"] = {f"/{n}": "" for n in range(20_000)}
    client = await door.client()
    client.send(_request("POST", MAPS, body=json.dumps(doc).encode()))
    status, _, body = await asyncio.wait_for(client.reply(), 60)
    causes = json.loads(body)["details"]["causes"]
    assert (status, len(causes)) == (422, 1001)
    assert causes[-1]["message"].startswith("and 19") and len(body) < MEGABYTE
    await client.close()


# --- heads ---


async def test_long_heads_and_targets_are_refused(door: Door) -> None:
    for head in (
        _request("GET", f"{MAPS}?labelSelector={'a' * 200_000}"),
        _request("GET", MAPS, f"X: {'a' * 200_000}"),
        _request("GET", MAPS, *(f"X-{n}: a" for n in range(1000))),
    ):
        client = await door.client()
        client.send(head)
        status, _, body = await asyncio.wait_for(client.reply(), 60)
        assert (status, json.loads(body)["code"]) == (431, 431)
        await client.close()
    await door.still_serves()


@pytest.mark.parametrize(
    ("sent", "status", "reason"),
    [
        (b"BREW /api HTTP/1.1\r\nHost: x\r\n\r\n", 405, "MethodNotAllowed"),
        (b"PROPFIND " + MAPS.encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n", 405, "MethodNotAllowed"),
        (b"TRACE " + MAPS.encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n", 405, "MethodNotAllowed"),
        (b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", 405, "MethodNotAllowed"),
        (b"POST /version HTTP/1.1\r\nHost: x\r\n\r\n", 405, "MethodNotAllowed"),
        (b"GET /a\0b HTTP/1.1\r\nHost: x\r\n\r\n", 400, "BadRequest"),
        (b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400, "BadRequest"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA\0: b\r\n\r\n", 400, "BadRequest"),
        (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", 400, "BadRequest"),
        (b"no request at all\r\n\r\n", 400, "BadRequest"),
    ],
)
async def test_what_is_no_request_here_is_refused(
    door: Door, sent: bytes, status: int, reason: str
) -> None:
    await door.refuses(sent, status, reason)


@pytest.mark.parametrize(
    "body", [b"zz\r\n", b"-1\r\n", b"fffffffffffffffff\r\n", b"3\r\nabcdef\r\n", b"3;" + b"x" * 300]
)
async def test_bad_chunks_are_refused(door: Door, body: bytes) -> None:
    client = await door.client()
    client.send(_request("POST", MAPS, "Transfer-Encoding: chunked") + body)
    if body.startswith(b"3;"):  # nothing is wrong with it yet but that it does not end
        for _ in range(500):
            client.send(b"x" * 65536)
    status, _, answer = await asyncio.wait_for(client.reply(), 60)
    assert status in (400, 413, 431), answer
    await client.close()
    await door.still_serves()


async def test_only_100_continue_can_be_expected(door: Door) -> None:
    client = await door.client()
    client.send(_request("POST", MAPS, "Expect: tea", "Content-Length: 2"))
    assert (await asyncio.wait_for(client.reply(), 60))[0] == 417
    await client.close()


# --- paths ---


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (MAPS.replace("/default", "/default%2Fx"), 404),
        (MAPS.replace("/namespaces/default/", "/namespaces%2Fdefault%2F"), 200),
        (f"/{MAPS}", 404),
        (MAPS.replace("/default", "//default"), 404),
        (f"{MAPS}/%00", 404),
        (f"{MAPS}/%ff", 404),
        (f"{MAPS}/..%2f..", 404),
        (f"{MAPS}/%zz", 404),
        (f"{MAPS}?labelSelector=%ff", 400),
        (f"{MAPS}?fieldSelector=%00", 400),
        (f"{MAPS}?limit=%ff", 400),
    ],
)
async def test_odd_paths_and_queries_mean_what_they_decode_to(
    door: Door, path: str, status: int
) -> None:
    client = await door.client()
    client.send(_request("GET", path))
    assert (await asyncio.wait_for(client.reply(), 60))[0] == status
    await client.close()


async def test_old_clients_and_heads_are_answered(door: Door) -> None:
    client = await door.client()
    client.send(f"GET {MAPS} HTTP/1.0\r\n\r\n".encode())
    assert (await asyncio.wait_for(client.reply(), 60))[0] == 200
    assert await client.closed()
    await client.close()
    client = await door.client()
    client.send(_request("HEAD", MAPS) + _request("GET", MAPS))
    assert (await client.head()).startswith("HTTP/1.1 200 ")
    assert (await asyncio.wait_for(client.reply(), 60))[0] == 200
    await client.close()


async def test_repeated_headers_of_groups_stay_apart(door: Door) -> None:
    client = await door.client()
    lines = (
        "Impersonate-User: jane",
        "Impersonate-Group: a, b",
        "Impersonate-Group: system:masters",
    )
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    client.send(_request("POST", path, *lines, body=b"{}"))
    _, _, body = await asyncio.wait_for(client.reply(), 60)
    groups = json.loads(body)["status"]["userInfo"]["groups"]
    assert groups == ["a, b", "system:masters", "system:authenticated"]
    await client.close()


# --- time ---


@pytest.mark.parametrize("sent", [b"Content-Length: 10\r\n\r\nab", b"Transfer-Encoding: chunked\r\n\r\n2\r\nab"])  # fmt: skip
async def test_a_body_that_trickles_is_given_up(sent: bytes) -> None:
    clock = VirtualClock()
    async with serving(echo, clock=clock, limits=ServerLimits(request_read_s=60)) as (server, port):
        client = await Raw.to(port)
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\n" + sent)
        while not server.connections:
            await SystemClock().sleep(0)
        await SystemClock().sleep(0.05)
        for _ in range(4):
            await clock.advance(14)
            client.send(b"c" if b"Length" in sent else b"\r\n1\r\nc")
            await SystemClock().sleep(0.01)
        assert server.connections == 1
        await clock.advance(10)
        assert await client.closed()
        await client.close()
