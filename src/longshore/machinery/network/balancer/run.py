"""Open what plan.py wishes for, splice what connects, and tell it on the Services.

Listeners are sockets of the machine's own namespace, on 127.0.0.1 only. Connections onward are
sockets made inside the cluster's LAN, so nothing of the machine's routing is touched.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path

from longshore.base.clock import Clock
from longshore.core.objects.errors import ApiError, NotFound
from longshore.core.objects.kinds import NODE, SERVICE, Doc
from longshore.core.registry.client import Change, Client, Operation, Patch
from longshore.machinery.loop.follow import follow
from longshore.machinery.loop.recorder import Journal
from longshore.machinery.network.balancer.plan import (
    LOOPBACK_IP,
    Listener,
    closed_sentence,
    open_sentence,
    ready_addresses,
    tell,
    wish,
)
from longshore.machinery.network.balancer.splice import Side
from longshore.machinery.network.errors import NamespaceFailure
from longshore.machinery.network.follow import Dirty
from longshore.machinery.network.namespaces import socket_in
from longshore.machinery.network.table import Docs, Key

# Spliced connections at once; each holds two descriptors. One more is refused.
CONNECTIONS_MAX = 4096
_BACKLOG = 512
_DIAL_TIMEOUT_S = 3.0
# Nodes that one connection is tried on before it is given up.
_DIAL_TRIES = 3
_RETRY_S = 1.0


@dataclass(slots=True)
class _Ports:
    """What is open for one service, by listener identity (the local port beside its server), and
    which complaints were made of it last."""

    open: dict[tuple[str, int, int], tuple[asyncio.Server, int]] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)


class Balancer:
    """Runs in the server. lan_ns is the path of the cluster's LAN."""

    def __init__(self, client: Client, lan_ns: Path | str, clock: Clock, journal: Journal) -> None:
        self._client = client
        self._lan_ns = lan_ns
        self._clock = clock
        self._recorder = journal.recorder("longshore-balancer")
        self._services, self._nodes = Docs(), Docs()
        self._addresses: list[str] | None = None
        self._dirty = Dirty()
        self._ports: dict[Key, _Ports] = {}
        self._connections = 0
        self._turn = count()
        self._log = logging.getLogger("longshore.network.balancer")

    async def run(self) -> None:
        """Balance until cancelled; every port is closed then."""
        async with asyncio.TaskGroup() as group:
            group.create_task(
                follow(self._client, NODE, self._clock, self._all_nodes, self._some_nodes),
                name="follow nodes",
            )
            group.create_task(
                follow(self._client, SERVICE, self._clock, self._all_services, self._some_services),
                name="follow services",
            )
            try:
                while True:
                    for key in await self._dirty.take():
                        await self._settle(key, group)
            finally:
                for ports in self._ports.values():
                    _close_all(ports)

    def local_ports(self, key: Key) -> dict[tuple[str, int], int]:
        """What is open for a service: local port by purpose and service port."""
        ports = self._ports.get(key, _Ports()).open
        return {(purpose, port): local for (purpose, port, _), (_, local) in ports.items()}

    def _all_nodes(self, docs: Iterable[Doc]) -> None:
        self._nodes.replace(docs)
        self._addresses = None

    def _some_nodes(self, changes: Iterable[Change]) -> None:
        self._nodes.apply(changes)
        self._addresses = None

    def _all_services(self, docs: Iterable[Doc]) -> None:
        self._dirty.add(self._services.replace(docs))

    def _some_services(self, changes: Iterable[Change]) -> None:
        self._dirty.add(self._services.apply(changes))

    async def _settle(self, key: Key, group: asyncio.TaskGroup) -> None:
        """Open and close what one service now wants, and write down what came of it."""
        service = self._services.get(key)
        if service is None:
            if (ports := self._ports.pop(key, None)) is not None:
                _close_all(ports)
            return
        wanted = wish(service)
        if not wanted.listeners and not wanted.notes and key not in self._ports:
            await self._tell(key, service, {})
            return
        ports = self._ports.setdefault(key, _Ports())
        identities = {listener.identity for listener in wanted.listeners}
        for identity in [known for known in ports.open if known not in identities]:
            ports.open.pop(identity)[0].close()
        sentences = list(wanted.notes)
        for listener in wanted.listeners:
            if listener.identity not in ports.open:
                sentences += await self._open(listener, ports, service, group)
        self._complain(service, ports, sentences)
        opened = {
            port: local
            for (purpose, port, _), (_, local) in ports.open.items()
            if purpose == "loadbalancer"
        }
        await self._tell(key, service, opened)

    async def _open(
        self, listener: Listener, ports: _Ports, service: Doc, group: asyncio.TaskGroup
    ) -> list[str]:
        """Listen on the first port that is to be had; complaints, if there is none."""
        why = ""
        for local in (*listener.tries, *([0] if listener.any_free else [])):
            try:
                bound = _bound(local)
            except OSError as error:
                taken = error.errno == errno.EADDRINUSE
                why = "it is taken" if taken else (error.strerror or str(error))
                continue
            number = bound.getsockname()[1]
            server = await asyncio.get_running_loop().create_server(
                partial(_Front, self, listener.node_port, group), sock=bound, backlog=_BACKLOG
            )
            ports.open[listener.identity] = (server, number)
            self._recorder.event(service, "Normal", "LocalPort", open_sentence(listener, number))
            return []
        return [closed_sentence(listener, why)]

    def _complain(self, service: Doc, ports: _Ports, sentences: list[str]) -> None:
        for sentence in sentences:
            if sentence not in ports.told:
                self._recorder.event(service, "Warning", "NoLocalPort", sentence)
        ports.told = set(sentences)

    async def _tell(self, key: Key, service: Doc, opened: dict[int, int]) -> None:
        told = tell(service, opened)
        writes: list[Operation] = []
        if told.annotation is not None:
            writes.append(Patch(SERVICE, *key, told.annotation))
        if told.status is not None:
            writes.append(Patch(SERVICE, *key, told.status, "status"))
        if not writes:
            return
        for answer in await self._client.submit(writes):
            if isinstance(answer, ApiError) and not isinstance(answer, NotFound):
                self._log.warning("service %s/%s: %s", *key, answer.message)
                await self._clock.sleep(_RETRY_S)
                self._dirty.add({key})

    def accept(self, front: Side, node_port: int, group: asyncio.TaskGroup) -> None:
        """A client has connected: find it a node."""
        self._connections += 1
        if self._connections > CONNECTIONS_MAX:
            self._log.warning("refused a connection: %d are open", CONNECTIONS_MAX)
            front.abort()
            return
        group.create_task(self._join(front, node_port), name=f"dial node port {node_port}")

    def gone(self) -> None:
        """A client's connection has ended."""
        self._connections -= 1

    async def _join(self, front: Side, node_port: int) -> None:
        start = next(self._turn)
        if self._addresses is None:
            self._addresses = ready_addresses(self._nodes.values())
        addresses = self._addresses
        for attempt in range(min(_DIAL_TRIES, len(addresses))):
            address = addresses[(start + attempt) % len(addresses)]
            try:
                back = await self._dial(address, node_port)
            except (OSError, TimeoutError, NamespaceFailure) as error:
                self._log.info("%s:%d does not answer: %s", address, node_port, error)
            else:
                front.join(back)
                return
        front.abort()

    async def _dial(self, address: str, node_port: int) -> Side:
        loop = asyncio.get_running_loop()
        onward = socket_in(self._lan_ns)
        onward.setblocking(False)
        try:
            async with asyncio.timeout(_DIAL_TIMEOUT_S):
                await loop.sock_connect(onward, (address, node_port))
                _, back = await loop.create_connection(Side, sock=onward)
        except BaseException:
            onward.close()
            raise
        return back


class _Front(Side):
    """The client's end."""

    def __init__(self, balancer: Balancer, node_port: int, group: asyncio.TaskGroup) -> None:
        super().__init__(balancer.gone)
        self._balancer, self._node_port, self._group = balancer, node_port, group

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._balancer.accept(self, self._node_port, self._group)


def _bound(local: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        listener.bind((LOOPBACK_IP, local))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _close_all(ports: _Ports) -> None:
    for server, _ in ports.open.values():
        server.close()
    ports.open.clear()
