"""A door with a real registry behind it and a real server before it, for tests of this room."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson

from longshore.base.chance import Chance
from longshore.base.clock import SystemClock
from longshore.base.users import User
from longshore.core.objects import kinds
from longshore.core.objects.errors import ApiError
from longshore.core.objects.kinds import Doc
from longshore.core.objects.rbac.defaults import default_objects
from longshore.core.registry.client import Create
from longshore.core.registry.registry import Registry, RegistryConfig
from longshore.core.store.memory import MemoryStore
from longshore.core.store.protocol import Store
from longshore.doors.kit.http import (
    AnyReply,
    Handler,
    Reply,
    Request,
    SlicedReply,
    StreamReply,
    plain_refusal,
)
from longshore.doors.kit.pulse import ServerLimits
from longshore.doors.kit.server import Server
from longshore.doors.kubernetes.door import DoorConfig, KubernetesDoor
from longshore.doors.kubernetes.translate import media_type
from longshore.testing.clock import VirtualClock, settle

ADMIN = User("admin", ("system:masters", "system:authenticated"))
JSON = "application/json"
_T = TypeVar("_T")
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


def listener() -> socket.socket:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(128)
    return sock


@contextlib.asynccontextmanager
async def serving(
    handler: Handler,
    *,
    limits: ServerLimits | None = None,
    tls: ssl.SSLContext | None = None,
    clock: Any = None,
    refusal: Callable[[int, str], Reply] = plain_refusal,
) -> AsyncIterator[tuple[Server, int]]:
    """A server on a free port of 127.0.0.1; it is stopped in good order afterwards."""
    server = Server(handler, clock or SystemClock(), limits=limits, refusal=refusal)
    with listener() as sock:
        async with asyncio.TaskGroup() as crew:
            crew.create_task(server.serve([sock], tls))
            try:
                yield server, sock.getsockname()[1]
            finally:
                server.stop()


class Raw:
    """A client that sends what it is told, byte by byte, and reads whole replies."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, port: int, tls: ssl.SSLContext | None = None) -> Raw:
        return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=tls))

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def reply(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body; the body ends as its framing says."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        status = int(head[0].split()[1])
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        if headers.get("transfer-encoding") == "chunked":
            return status, headers, b"".join([chunk async for chunk in self.chunks()])
        length = int(headers.get("content-length", "0"))
        return status, headers, await self.reader.readexactly(length)

    async def head(self) -> str:
        return (await self.reader.readuntil(b"\r\n\r\n")).decode()

    async def chunks(self) -> AsyncIterator[bytes]:
        while size := int(await self.reader.readline(), 16):
            yield await self.reader.readexactly(size)
            await self.reader.readline()
        await self.reader.readline()

    async def closed(self) -> bool:
        """Whether the server ends the connection, having sent nothing more."""
        try:
            return await self.reader.read(1) == b""
        except ConnectionError:
            return True

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


@dataclass
class Answer:
    """A reply, with its body decoded where it is JSON."""

    status: int
    headers: dict[str, str]
    body: bytes
    content_type: str

    @property
    def doc(self) -> Any:
        return orjson.loads(self.body)


class Kube:
    """The Kubernetes door over a memory store, asked without a wire."""

    def __init__(self, registry: Registry, door: KubernetesDoor, clock: VirtualClock) -> None:
        self.registry, self.door, self.clock = registry, door, clock
        self.user: User | None = ADMIN

    async def raw(
        self, method: str, target: str, body: Any = None, **headers: str | list[str]
    ) -> AnyReply:
        path, _, query = target.partition("?")
        parsed: dict[str, list[str]] = {}
        for pair in filter(None, query.split("&")):
            key, _, value = pair.partition("=")
            parsed.setdefault(key, []).append(value)
        data = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
        given = {k.replace("_", "-"): v for k, v in headers.items()}
        several = {k: v for k, v in given.items() if isinstance(v, list)}
        named = {k: v if isinstance(v, str) else ", ".join(v) for k, v in given.items()}
        request = Request(
            method, path, parsed, {"content-type": JSON} | named, data, self.user, target, several
        )
        return await self.door.handle(request)

    async def __call__(
        self, method: str, target: str, body: Any = None, **headers: str | list[str]
    ) -> Answer:
        reply = await self.raw(method, target, body, **headers)
        if isinstance(reply, SlicedReply):
            whole = b"".join(reply.slices)
            reply = Reply(reply.status, whole, reply.content_type, reply.headers)
        assert isinstance(reply, Reply)
        return Answer(reply.status, reply.headers, reply.body, media_type(reply.content_type))

    async def late(self, asked: Coroutine[Any, Any, _T]) -> _T:
        """The outcome of what may wait some seconds: time passes meanwhile."""
        task = asyncio.ensure_future(asked)
        for _ in range(10):
            await settle(5)
            if task.done():
                break
            await self.clock.advance(0.5)
        return await task

    async def watch(self, target: str, **headers: str) -> Watcher:
        reply = await self.raw("GET", target, **headers)
        assert isinstance(reply, StreamReply), reply
        return Watcher(reply.pieces)


class Watcher:
    """Events of a watch, one by one."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces
        self._lines: list[bytes] = []

    async def event(self) -> Doc:
        while not self._lines:
            self._lines = [line for line in (await anext(self._pieces)).split(b"\n") if line]
        event: Doc = orjson.loads(self._lines.pop(0))
        return event

    async def seen(self) -> tuple[str, str, int]:
        """Type, name and revision of the next event."""
        event = await self.event()
        metadata = event["object"]["metadata"]
        return event["type"], metadata.get("name", ""), int(metadata["resourceVersion"])

    async def rest(self) -> bytes:
        """All that still comes, to its end."""
        return b"".join([piece async for piece in self._pieces])

    async def ended(self) -> bool:
        return await anext(self._pieces, None) is None

    async def close(self) -> None:
        await self._pieces.aclose()  # type: ignore[attr-defined]


@contextlib.asynccontextmanager
async def kube(
    config: DoorConfig | None = None,
    *,
    roles: bool = False,
    registry_config: RegistryConfig | None = None,
    store: Store | None = None,
) -> AsyncIterator[Kube]:
    """A door with an open registry that has the namespace default, and on demand the default roles
    of the whole cluster: without them, only masters and nodes may do anything."""
    clock, chance = VirtualClock(), Chance.seeded("doors")
    registry = Registry(store or MemoryStore(), clock, chance, registry_config)
    await registry.open()
    door = KubernetesDoor(registry, clock, chance, config)
    async with asyncio.TaskGroup() as crew:
        tasks = [crew.create_task(registry.run()), crew.create_task(door.run())]
        name: Doc = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}
        await registry.create(ADMIN, kinds.NAMESPACE, name)
        if roles:
            await give_default_roles(registry)
        try:
            yield Kube(registry, door, clock)
        finally:
            for task in tasks:
                task.cancel()


async def give_default_roles(registry: Registry) -> None:
    wanted = [Create(kind, doc) for kind, doc in default_objects() if not kind.namespaced]
    answers = await registry.submit(ADMIN, wanted)
    assert not any(isinstance(answer, ApiError) for answer in answers), answers


def config_map(name: str, **data: str) -> Doc:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def pod(name: str, **metadata: Any) -> Doc:
    container = {"name": "main", "image": "nginx:1.27"}
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **metadata},
        "spec": {"containers": [container]},
    }  # fmt: skip


def deployment(name: str, replicas: int = 1) -> Doc:
    labels = {"app": name}
    container = {"name": "main", "image": "nginx:1.27"}
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }  # fmt: skip


Echo = Callable[[Request], Awaitable[Reply]]


async def echo(request: Request) -> Reply:
    """Answers with what it understood."""
    shown = {
        "method": request.method, "path": request.path, "query": dict(request.query),
        "size": len(request.body), "user": request.user.name if request.user else None,
        "groups": request.user.groups if request.user else [],
    }  # fmt: skip
    return Reply(200, orjson.dumps(shown))
