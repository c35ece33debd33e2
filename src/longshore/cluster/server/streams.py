"""How the server reaches its nodes for live talk: the other end is agent/api.py, on every node."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote, urlencode

import orjson

from longshore.base.addresses import NODE_API_PORT
from longshore.core.objects import kinds
from longshore.core.objects.errors import ApiError, BadRequest, NotFound, Unavailable
from longshore.core.streams.protocols import Answering, Ask, LogOptions
from longshore.core.watch.cache import Cache
from longshore.doors.kit.exchange import exchange
from longshore.doors.kit.fetch import FetchError, Pool, Stream
from longshore.machinery.kubelet.hollow.nodes import is_hollow
from longshore.machinery.network.namespaces import socket_in

_BY_CODE: dict[int, type[ApiError]] = {400: BadRequest, 404: NotFound}


class NoStreams:
    """Hollow nodes run nothing, so they have nothing to say."""

    async def logs(
        self, node: str, namespace: str, pod: str, container: str, options: LogOptions
    ) -> AsyncIterator[bytes]:
        for _ in ():
            yield b""
        raise BadRequest(f"container {container!r} in pod {pod!r} is hollow: it has no log")

    async def ask_node(self, node: str, ask: Ask) -> Answering:
        raise BadRequest(f"node {node} is hollow: it runs nothing and answers nobody")

    async def ask_address(self, scheme: str, host: str, port: int, ask: Ask) -> Answering:
        raise ConnectionRefusedError(f"{host} is the address of a hollow pod or node")


class NodeStreams:
    """Talks to nodes over the cluster's LAN, with the server's own certificate. lan is the path of its
    namespace, empty if the process is inside or nodes are machines that joined."""

    def __init__(self, cache: Cache, context: ssl.SSLContext, lan: Path | str) -> None:
        self._cache = cache
        self._context = context
        self._lan = lan
        self._unverified = ssl.create_default_context()
        self._unverified.check_hostname = False
        self._unverified.verify_mode = ssl.CERT_NONE

    async def logs(
        self, node: str, namespace: str, pod: str, container: str, options: LogOptions
    ) -> AsyncIterator[bytes]:
        path = f"/logs/{quote(namespace)}/{quote(pod)}/{quote(container)}"
        pool = self._pool(self._address(node))
        try:
            stream = await pool.stream(f"{path}?{urlencode(log_query(options))}", {})
        except FetchError as error:
            raise Unavailable(f"node {node} cannot be reached: {error}") from error
        try:
            if stream.answer.status != 200:
                raise _refusal(stream.answer.status, await _whole(stream))
            while piece := await stream.piece():
                yield piece
        finally:
            stream.close()

    async def ask_node(self, node: str, ask: Ask) -> Answering:
        address = (self._address(node), NODE_API_PORT)
        try:
            return await exchange(socket_in(self._lan), address, ask, self._context)
        except OSError as error:
            raise Unavailable(f"node {node} cannot be reached: {error}") from error

    async def ask_address(self, scheme: str, host: str, port: int, ask: Ask) -> Answering:
        tls = self._unverified if scheme == "https" else None
        return await exchange(socket_in(self._lan), (host, port), ask, tls)

    def _pool(self, address: str) -> Pool:
        server = f"https://{address}:{NODE_API_PORT}"
        return Pool([server], self._context, socket_factory=lambda: socket_in(self._lan))

    def _address(self, node: str) -> str:
        found = self._cache.get(kinds.NODE, "", node) or {}
        if is_hollow(found):
            raise BadRequest(f"node {node} is hollow: it runs nothing and answers nobody")
        addresses = (found.get("status") or {}).get("addresses") or []
        for address in addresses:
            if address["type"] == "InternalIP":
                return str(address["address"])
        raise NotFound.of(kinds.NODE, node)


async def _whole(stream: Stream) -> bytes:
    body = b""
    while piece := await stream.piece():
        body += piece
    return body


def log_query(options: LogOptions) -> dict[str, str]:
    """LogOptions as query parameters; agent/api.py reads them back."""
    query = {
        "follow": str(int(options.follow)),
        "previous": str(int(options.previous)),
        "timestamps": str(int(options.timestamps)),
        "since": repr(options.since),
    }
    if options.tail_lines is not None:
        query["tail"] = str(options.tail_lines)
    if options.limit_bytes is not None:
        query["limit"] = str(options.limit_bytes)
    return query


def _refusal(status: int, body: bytes) -> ApiError:
    try:
        message = str(orjson.loads(body)["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        message = f"the node answered {status}"
    return _BY_CODE.get(status, Unavailable)(message)
