"""The HTTP client against a real server and registry: the same answers as in process, and feeds
that survive a server's end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from longshore.base.clock import SystemClock
from longshore.core.objects import kinds
from longshore.core.objects.errors import (
    AlreadyExists,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    NotFound,
    TooManyRequests,
    Unavailable,
)
from longshore.core.objects.kinds import Doc
from longshore.core.pki.authority import Authority
from longshore.core.pki.tls import client_context, server_context
from longshore.core.registry.client import Bind, Create, Delete, DeleteOptions, Patch, Update
from longshore.core.registry.inprocess import InProcess
from longshore.doors.kit.http import AnyReply, Reply, Request
from longshore.doors.kit.server import Server
from longshore.doors.kubernetes.client import HttpClient, Introduction, error_of

from .rig import ADMIN, Kube, config_map, kube, listener, pod, serving


def placed(doc: Doc) -> Doc:
    return doc | {"metadata": {**doc["metadata"], "namespace": "default"}}


@contextlib.asynccontextmanager
async def client_of(ask: Kube, agent: str = "test") -> AsyncIterator[HttpClient]:
    """A client of a door that takes everyone for the administrator."""

    async def handle(request: Request) -> AnyReply:
        request.user = ADMIN
        return await ask.door.handle(request)

    async with serving(handle) as (_, port):
        said = Introduction(agent)
        client = HttpClient([f"http://127.0.0.1:{port}"], None, SystemClock(), said=said)
        try:
            yield client
        finally:
            client.close()


async def test_what_it_writes_is_recorded_under_its_agents_name() -> None:
    async with kube() as ask, client_of(ask, agent="kubelet") as client:
        made = await client.write(Create(kinds.CONFIG_MAP, placed(config_map("a", a="1"))))
        assert [one["manager"] for one in made["metadata"]["managedFields"]] == ["kubelet"]


async def test_the_same_answers_as_in_process() -> None:
    async with kube() as ask, client_of(ask) as far:
        near = InProcess(ask.registry, ADMIN)
        for client, name in ((near, "near"), (far, "far")):
            made = await client.write(Create(kinds.CONFIG_MAP, placed(config_map(name, a="1"))))
            changed = await client.write(Update(kinds.CONFIG_MAP, made | {"data": {"a": "2"}}))
            assert changed["data"] == {"a": "2"}
            patch = Patch(kinds.CONFIG_MAP, "default", name, {"data": {"b": "3"}})
            assert (await client.write(patch))["data"] == {"a": "2", "b": "3"}
            with pytest.raises(Conflict):
                await client.write(Update(kinds.CONFIG_MAP, made))
            with pytest.raises(AlreadyExists):
                await client.write(Create(kinds.CONFIG_MAP, placed(config_map(name))))
            with pytest.raises(Invalid, match=r"metadata\.name"):
                await client.write(Create(kinds.CONFIG_MAP, placed(config_map("No Name"))))
            with pytest.raises(NotFound):
                await client.get(kinds.POD, "default", "none")
        inside, outside = await near.list(kinds.CONFIG_MAP), await far.list(kinds.CONFIG_MAP)
        assert (list(inside.items), inside.revision) == (outside.items, outside.revision)
        one = await far.get(kinds.CONFIG_MAP, "default", "near")
        assert one == await near.get(kinds.CONFIG_MAP, "default", "near")
        listing = await far.list(kinds.CONFIG_MAP, "default", fields="metadata.name=far")
        assert [doc["metadata"]["name"] for doc in listing.items] == ["far"]


async def test_many_writes_each_get_their_answer_in_order() -> None:
    async with kube() as ask, client_of(ask) as client:
        creates = [Create(kinds.POD, placed(pod(f"p{n}"))) for n in range(40)]
        answers = await client.submit([*creates, creates[0]])
        assert isinstance(answers.pop(), AlreadyExists)
        assert [a["metadata"]["name"] for a in answers if isinstance(a, dict)] == [
            f"p{n}" for n in range(40)
        ]
        uid = (await client.get(kinds.POD, "default", "p1"))["metadata"]["uid"]
        await client.write(Bind("default", "p1", "node-1", uid))
        assert (await client.get(kinds.POD, "default", "p1"))["spec"]["nodeName"] == "node-1"
        with pytest.raises(Conflict):
            await client.write(Delete(kinds.POD, "default", "p1", DeleteOptions(uid="other")))
        await client.write(Delete(kinds.POD, "default", "p1", DeleteOptions(grace_s=0, uid=uid)))
        with pytest.raises(NotFound):
            await client.get(kinds.POD, "default", "p1")


async def test_a_feed_continues_its_snapshot_without_gap_or_double() -> None:
    async with kube() as ask, client_of(ask) as client:
        await ask("POST", "/api/v1/namespaces/default/pods", pod("before"))
        listing, feed = await client.list_and_watch(kinds.POD, "default")
        assert [doc["metadata"]["name"] for doc in listing.items] == ["before"]
        await client.submit([Create(kinds.POD, placed(pod(f"p{n}"))) for n in range(30)])
        seen: list[tuple[str, str]] = []
        while len(seen) < 30:
            seen += [(c.type, c.doc["metadata"]["name"]) for c in await feed.next_batch()]
        assert sorted(seen) == sorted(("ADDED", f"p{n}") for n in range(30))
        feed.close()
        with pytest.raises(Expired):
            await feed.next_batch()


async def test_feeds_and_writes_go_on_with_another_server() -> None:
    """The first of two servers of one registry ends: the feed resumes at the second."""
    async with kube() as ask, _two_servers(ask) as (client, servers):
        _, feed = await client.list_and_watch(kinds.CONFIG_MAP, "default")
        await client.write(Create(kinds.CONFIG_MAP, placed(config_map("one"))))
        assert [c.doc["metadata"]["name"] for c in await feed.next_batch()] == ["one"]
        await servers[0].end()
        await ask("POST", "/api/v1/namespaces/default/configmaps", config_map("two"))
        assert [c.doc["metadata"]["name"] for c in await feed.next_batch()] == ["two"]
        assert await client.get(kinds.CONFIG_MAP, "default", "two")
        feed.close()


async def test_a_server_that_falls_silent_is_left_with_its_watches() -> None:
    """It keeps its connections and answers nothing, as one that is stopped: what notices is the
    next request, and the watch goes on at the other server too."""
    async with kube() as ask, _two_servers(ask, answer_s=0.2) as (client, servers):
        _, feed = await client.list_and_watch(kinds.CONFIG_MAP, "default")
        await client.write(Create(kinds.CONFIG_MAP, placed(config_map("one"))))
        assert [c.doc["metadata"]["name"] for c in await feed.next_batch()] == ["one"]
        servers[0].silent = True
        with pytest.raises(Unavailable, match="no answer"):
            await client.write(Create(kinds.CONFIG_MAP, placed(config_map("lost"))))
        await client.write(Create(kinds.CONFIG_MAP, placed(config_map("two"))))
        assert [c.doc["metadata"]["name"] for c in await feed.next_batch()] == ["two"]
        feed.close()


async def test_a_server_that_cannot_serve_is_not_asked_again() -> None:
    async with kube() as ask, _two_servers(ask) as (client, servers):
        await client.list(kinds.CONFIG_MAP, "default")
        servers[0].unable = True
        with pytest.raises(Unavailable, match="etcd"):
            await client.list(kinds.CONFIG_MAP, "default")
        await client.list(kinds.CONFIG_MAP, "default")
        assert [server.asked for server in servers] == [2, 1]


class Instance:
    """One of two servers of a registry. silent: it takes requests and does no more."""

    def __init__(self, ask: Kube) -> None:
        self._ask = ask
        self.silent = self.unable = False
        self.asked = 0
        self.server: Server | None = None

    async def end(self) -> None:
        assert self.server is not None
        self.server.stop()
        while self.server.connections:
            await SystemClock().sleep(0)

    async def handle(self, request: Request) -> AnyReply:
        self.asked += 1
        if self.silent:
            await asyncio.Event().wait()
        if self.unable:
            return Reply(503, b"etcd does not answer")
        request.user = ADMIN
        return await self._ask.door.handle(request)


@contextlib.asynccontextmanager
async def _two_servers(
    ask: Kube, answer_s: float = 0.0
) -> AsyncIterator[tuple[HttpClient, list[Instance]]]:
    one, two = Instance(ask), Instance(ask)
    async with serving(one.handle) as (one.server, port_1), serving(two.handle) as (_, port_2):
        urls = [f"http://127.0.0.1:{port}" for port in (port_1, port_2)]
        client = HttpClient(urls, None, SystemClock(), answer_s=answer_s)
        try:
            yield client, [one, two]
        finally:
            client.close()


async def test_a_feed_from_too_long_ago_says_so() -> None:
    async with kube() as ask, client_of(ask) as client:
        _, feed = await client.list_and_watch(kinds.CONFIG_MAP)
        ask.registry.cache.shelf(kinds.CONFIG_MAP).history.start = 99
        with pytest.raises(Expired):
            await feed.next_batch()
        feed.close()


async def test_nobody_there_is_unavailable() -> None:
    with listener() as sock:
        port = sock.getsockname()[1]
    client = HttpClient([f"http://127.0.0.1:{port}"], None, SystemClock())
    with pytest.raises(Unavailable, match="no server can be reached"):
        await client.get(kinds.POD, "default", "x")
    client.close()


async def test_sockets_come_from_the_factory(tmp_path: Path) -> None:
    made = []

    def factory() -> socket.socket:
        made.append(socket.socket())
        return made[-1]

    authority = Authority(tmp_path, SystemClock())
    pair, ca = authority.server("localhost", ["127.0.0.1"]), authority.pair.certificate
    node = authority.client("node", "system:node:n1", ["system:nodes"])
    async with (
        kube() as ask,
        serving(ask.door.handle, tls=server_context(pair, ca)) as (_, port),
    ):
        client = HttpClient(
            [f"https://127.0.0.1:{port}"], client_context(node, ca), SystemClock(),
            socket_factory=factory,
        )  # fmt: skip
        assert (await client.list(kinds.POD, fields="spec.nodeName=n1")).items == []
        with pytest.raises(Forbidden):
            await client.write(Create(kinds.CONFIG_MAP, placed(config_map("one"))))
        assert len(made) == 1
        client.close()


async def test_a_kept_connection_that_died_costs_a_read_nothing() -> None:
    """The server closes after every answer without saying so."""
    asked = 0

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        await reader.readuntil(b"\r\n\r\n")
        asked += 1
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"asked":1}')
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(once, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        client = HttpClient([f"http://127.0.0.1:{port}"], None, SystemClock())
        for _ in range(5):
            assert await client.get(kinds.POD, "default", "x") == {"asked": 1}
        assert asked == 5
        client.close()


def test_errors_come_back_as_what_they_were() -> None:
    busy = Reply(429, b'{"kind":"Status","reason":"TooManyRequests","message":"later",'
                      b'"details":{"retryAfterSeconds":3,"name":"x"},"code":429}')  # fmt: skip
    error = error_of(429, busy.body, kinds.POD)
    assert isinstance(error, TooManyRequests)
    assert (error.message, error.retry_after_s, error.name) == ("later", 3, "x")
    assert isinstance(error_of(404, b"404 page not found\n", None), NotFound)
    assert isinstance(error_of(503, b"", None), Unavailable)
    assert error_of(418, b"{}", None).code == 500
