"""The proxy subresource: where names lead, what goes on, and how answers come back."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from longshore.core.streams.protocols import Answering, Ask, LogOptions
from longshore.doors.kit.exchange import exchange
from longshore.doors.kit.http import AnyReply, Reply, Request, Takeover, Wire
from longshore.doors.kubernetes.door import DoorConfig
from longshore.doors.kubernetes.proxying import moved

from .rig import ADMIN, Kube, Raw, kube, pod, serving

PODS = "/api/v1/namespaces/default/pods"
SERVICES = "/api/v1/namespaces/default/services"


async def backend(request: Request) -> AnyReply:
    """Tells what arrived; /old moves on, /talk switches protocols, /cookies sets two."""
    if request.path == "/old":
        return Reply(302, b"", "", {"Location": "/new/?a=b"})
    if request.path == "/talk":
        return Takeover(_shout, {"Upgrade": "shouting"})
    shown = {
        "method": request.method, "target": request.target, "headers": dict(request.headers),
        "body": request.body.decode(),
    }  # fmt: skip
    return Reply(203, orjson.dumps(shown), "application/vnd.shown+json", {"Set-Cookie": "a=b"})


async def _shout(wire: Wire) -> None:
    while data := await wire.read():
        await wire.write(data.upper())


class Everywhere:
    """Streams to a backend on 127.0.0.1, whatever address is asked for."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.asked: list[tuple[str, str, int]] = []

    async def logs(
        self, node: str, namespace: str, pod: str, container: str, options: LogOptions
    ) -> AsyncIterator[bytes]:
        yield b""

    async def ask_node(self, node: str, ask: Ask) -> Answering:
        return await self.ask_address("node", node, 0, ask)

    async def ask_address(self, scheme: str, host: str, port: int, ask: Ask) -> Answering:
        self.asked.append((scheme, host, port))
        if port == 9:
            raise ConnectionRefusedError(111, "connection refused")
        return await exchange(socket.socket(), ("127.0.0.1", self._port), ask)


@contextlib.asynccontextmanager
async def proxied() -> AsyncIterator[tuple[Kube, Everywhere, int]]:
    async with serving(backend) as (_, behind):
        streams = Everywhere(behind)
        async with kube(DoorConfig(streams=streams)) as api:
            await _place(api)

            async def as_admin(request: Request) -> AnyReply:
                request.user = ADMIN
                return await api.door.handle(request)

            async with serving(as_admin) as (_, port):
                yield api, streams, port


async def _place(api: Kube) -> None:
    web = pod("web")
    web["spec"]["containers"][0]["ports"] = [{"containerPort": 8080}]
    await api("POST", PODS, web)
    status = {"podIP": "10.1.0.7", "podIPs": [{"ip": "10.1.0.7"}]}
    await api(
        "PATCH", f"{PODS}/web/status", {"status": status},
        content_type="application/merge-patch+json",
    )  # fmt: skip
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    service = {"metadata": {"name": "shop"}, "spec": {"ports": ports}}
    assert (await api("POST", SERVICES, service)).status == 201
    piece = {
        "metadata": {"name": "shop-1", "labels": {"kubernetes.io/service-name": "shop"}},
        "addressType": "IPv4", "ports": [{"name": "http", "port": 8080}],
        "endpoints": [
            {"addresses": ["10.1.0.8"], "conditions": {"ready": False}},
            {"addresses": ["10.1.0.9"], "conditions": {"ready": True}},
        ],
    }  # fmt: skip
    where = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
    assert (await api("POST", where, piece)).status == 201


async def ask(port: int, method: str, path: str, body: bytes = b"", *headers: str) -> Any:
    client = await Raw.to(port)
    lines = [f"{method} {path} HTTP/1.1", "Host: api", f"Content-Length: {len(body)}", *headers]
    client.send("\r\n".join([*lines, "", ""]).encode() + body)
    async with asyncio.timeout(60):
        answer = await client.reply()
    await client.close()
    return answer


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_every_method_goes_through_with_its_path_query_and_body(method: str) -> None:
    async with proxied() as (_, streams, port):
        path = f"{PODS}/web/proxy/a%2Fb//c/?x=1&y=%20"
        status, headers, body = await ask(
            port, method, path, b"hello", "X-Mine: yes", "Connection: keep-alive, X-Hop",
            "X-Hop: no", "Authorization: Bearer secret",
        )  # fmt: skip
        assert status == 203 and headers["content-type"] == "application/vnd.shown+json"
        assert headers["set-cookie"] == "a=b"
        shown = orjson.loads(body)
        assert (shown["method"], shown["body"]) == (method, "hello")
        assert shown["target"] == "/a%2Fb//c/?x=1&y=%20"
        arrived = shown["headers"]
        assert arrived["x-mine"] == "yes" and arrived["host"] == "api"
        assert arrived["x-forwarded-uri"] == f"{PODS}/web/proxy/a%2Fb//c/"
        assert not {"x-hop", "authorization"} & set(arrived)
        assert streams.asked == [("", "10.1.0.7", 8080)]


async def test_head_has_no_body_and_the_connection_goes_on() -> None:
    async with proxied() as (_, _streams, port):
        client = await Raw.to(port)
        request = f"HEAD {PODS}/web/proxy/x HTTP/1.1\r\nHost: api\r\n\r\n".encode()
        client.send(request + request)
        for _ in range(2):
            head = await asyncio.wait_for(client.head(), 20)
            assert head.startswith("HTTP/1.1 203 ") and "content-length: " in head.lower()
        await client.close()


async def test_the_root_is_a_folder_and_redirects_stay_below_it() -> None:
    async with proxied() as (_, _streams, port):
        status, headers, _ = await ask(port, "GET", f"{PODS}/web/proxy?a=b")
        assert (status, headers["location"]) == (301, f"{PODS}/web/proxy/?a=b")
        status, headers, _ = await ask(port, "GET", f"{PODS}/web/proxy/old")
        assert (status, headers["location"]) == (302, f"https://api{PODS}/web/proxy/new/?a=b")
    assert moved("https://else.where/x", "api", "/p") == "https://else.where/x"
    assert moved("next", "api", "/p") == "next"


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (f"{PODS}/https:web:8443/proxy/", ("https", "10.1.0.7", 8443)),
        (f"{PODS}/web:81/proxy/", ("", "10.1.0.7", 81)),
        (f"{SERVICES}/shop/proxy/", ("", "10.1.0.9", 8080)),
        (f"{SERVICES}/shop:http/proxy/", ("", "10.1.0.9", 8080)),
        (f"{SERVICES}/https:shop:80/proxy/", ("https", "10.1.0.9", 8080)),
    ],
)
async def test_names_lead_to_pods_and_ready_endpoints(
    path: str, place: tuple[str, str, int]
) -> None:
    async with proxied() as (_, streams, port):
        assert (await ask(port, "GET", path))[0] == 203
        assert streams.asked == [place]


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        (f"{PODS}/none/proxy/", 404, 'pods "none" not found'),
        (f"{PODS}/ftp:web:1/proxy/", 400, 'invalid pod request "ftp:web:1"'),
        (f"{PODS}/web:nine/proxy/", 400, 'invalid pod request "web:nine"'),
        (f"{PODS}/web:9/proxy/", 503, "error trying to reach service: "),
        (f"{SERVICES}/shop:81/proxy/", 503, 'no service port 81 found for service "shop"'),
        (f"{SERVICES}/shop:dns/proxy/", 503, 'no endpoints available for service "shop:dns"'),
    ],
)
async def test_what_leads_nowhere_is_a_status(path: str, status: int, said: str) -> None:
    async with proxied() as (_, _streams, port):
        answered, _, body = await ask(port, "GET", path)
        assert answered == status and said in orjson.loads(body)["message"]


async def test_an_upgrade_is_relayed_both_ways() -> None:
    async with proxied() as (_, _streams, port):
        client = await Raw.to(port)
        client.send(
            f"GET {PODS}/web/proxy/talk HTTP/1.1\r\nHost: api\r\n"
            "Connection: Upgrade\r\nUpgrade: shouting\r\n\r\n".encode()
        )
        head = await asyncio.wait_for(client.head(), 20)
        assert head.startswith("HTTP/1.1 101 ") and "Upgrade: shouting" in head
        client.send(b"hello")
        assert await asyncio.wait_for(client.reader.readexactly(5), 20) == b"HELLO"
        await client.close()
