"""Services on the machine's loopback: which ports, what is told, and bytes that come through whole."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from longshore.base.clock import SystemClock
from longshore.core.objects.kinds import NODE, SERVICE, Doc
from longshore.core.registry.client import Patch
from longshore.machinery.loop.recorder import Journal
from longshore.machinery.network import namespaces
from longshore.machinery.network.balancer.plan import (
    LOCAL_PORTS,
    Listener,
    local_ports,
    ready_addresses,
    tell,
    wish,
)
from longshore.machinery.network.balancer.run import Balancer
from longshore.machinery.network.balancer.splice import Side
from longshore.testing.clock import settle

from .network_world import HandCluster, Lan, real_lan, service


def balanced(name: str = "web", port: int = 80, node_port: int = 30080, **spec: Any) -> Doc:
    ports = [{"port": port, "nodePort": node_port, "protocol": "TCP"}]
    return service(name, type="LoadBalancer", ports=ports, **spec)


def test_a_load_balancer_wants_its_port_and_its_node_port() -> None:
    assert wish(balanced()).listeners == (
        Listener("loadbalancer", 80, 30080, (80,), True),
        Listener("nodeport", 80, 30080, (30080,), False),
    )
    kept = balanced(annotations={LOCAL_PORTS: "80=8080"})
    assert wish(kept).listeners[0].tries == (8080, 80)


def test_who_wants_nothing() -> None:
    assert wish(service()).listeners == ()
    assert wish(service(type="NodePort", ports=[{"port": 80}])).notes == (
        "port 80 is not on 127.0.0.1: it has no node port to lead to",
    )
    udp = service(type="LoadBalancer", ports=[{"port": 53, "nodePort": 30053, "protocol": "UDP"}])
    assert wish(udp).notes == ("port 53/UDP is not on 127.0.0.1: only TCP is carried",)
    other = balanced(loadBalancerClass="example.org/lb")
    assert [listener.purpose for listener in wish(other).listeners] == ["nodeport"]


def test_what_is_told_is_told_once() -> None:
    doc = balanced()
    told = tell(doc, {80: 8080})
    assert told.annotation == {"metadata": {"annotations": {LOCAL_PORTS: "80=8080"}}}
    assert told.status is not None
    ingress = told.status["status"]["loadBalancer"]["ingress"]
    assert ingress == [
        {"ip": "127.0.0.1", "ipMode": "Proxy", "ports": [{"port": 8080, "protocol": "TCP"}]}
    ]
    doc["metadata"]["annotations"] = {LOCAL_PORTS: "80=8080"}
    doc["status"] = told.status["status"]
    assert tell(doc, {80: 8080}).annotation is None
    assert tell(doc, {80: 8080}).status is None
    assert local_ports(doc) == {80: 8080}
    doc["spec"] = doc["spec"] | {"type": "ClusterIP"}
    over = tell(doc, {})
    assert over.annotation == {"metadata": {"annotations": {LOCAL_PORTS: None}}}
    assert over.status == {"status": {"loadBalancer": {"ingress": None}}}
    assert local_ports(service(annotations={LOCAL_PORTS: "rubbish"})) == {}


def node(name: str, ip: str, ready: str = "True") -> Doc:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name},
        "status": {
            "conditions": [{"type": "Ready", "status": ready}],
            "addresses": [
                {"type": "Hostname", "address": name},
                {"type": "InternalIP", "address": ip},
            ],
        },
    }


def test_only_ready_nodes_are_dialled() -> None:
    nodes = [node("b", "10.90.0.12"), node("a", "10.90.0.11"), node("c", "10.90.0.13", "Unknown")]
    assert ready_addresses([*nodes, {"metadata": {"name": "new"}}]) == ["10.90.0.11", "10.90.0.12"]


Backend = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]


@asynccontextmanager
async def spliced(backend: Backend) -> AsyncIterator[tuple[str, int]]:
    """A port whose connections are spliced to a backend."""
    loop = asyncio.get_running_loop()
    behind = await asyncio.start_server(backend, "127.0.0.1", 0)
    to = behind.sockets[0].getsockname()
    async with asyncio.TaskGroup() as group:

        class Front(Side):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                super().connection_made(transport)
                group.create_task(self.dial())

            async def dial(self) -> None:
                _, back = await loop.create_connection(Side, *to)
                self.join(back)

        front = await loop.create_server(Front, "127.0.0.1", 0)
        yield front.sockets[0].getsockname()
        front.close()
        behind.close()


BIG = bytes(range(256)) * 40_000


async def count_then_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reads to the end first, then speaks: works only if the half-closed end is passed on."""
    data = await reader.read()
    writer.write(str(len(data)).encode() + BIG)
    writer.close()
    await writer.wait_closed()


async def through_and_back() -> None:
    async with spliced(count_then_answer) as address, asyncio.timeout(60):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(BIG)
        writer.write_eof()
        answer = await reader.read()
        assert answer == str(len(BIG)).encode() + BIG
        writer.close()
        await writer.wait_closed()


async def test_bytes_and_half_closed_ends_come_through() -> None:
    await through_and_back()


def test_they_do_on_uvloop_too() -> None:
    uvloop.run(through_and_back())


async def test_a_reader_that_is_slow_slows_the_writer() -> None:
    async def chatter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(BIG)
                sent.append(len(BIG))
                await writer.drain()
        except ConnectionError:
            hung_up.set()
        finally:
            writer.close()

    sent: list[int] = []
    hung_up = asyncio.Event()
    async with spliced(chatter) as address, asyncio.timeout(60):
        reader, writer = await asyncio.open_connection(*address, limit=1024)
        await reader.read(1)
        await settle(2000)
        # 10 MB a piece: the buffers of two hops hold one or two, an unbounded queue all of them.
        assert 1 <= len(sent) < 5
        # And a client that goes away is news to the backend.
        writer.transport.abort()
        await hung_up.wait()


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[Lan]:
    with real_lan(tmp_path / "ns") as built:
        yield built


@asynccontextmanager
async def balancing(cluster: HandCluster, lan: Lan) -> AsyncIterator[tuple[Balancer, Journal]]:
    journal = Journal(cluster, SystemClock())
    balancer = Balancer(cluster, lan.lan_ns, SystemClock(), journal)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(balancer.run())
        yield balancer, journal
        task.cancel()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():
            await settle(1)


async def hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"hello")
    writer.close()


async def get(port: int) -> bytes:
    async with asyncio.timeout(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        answer = await reader.read()
        writer.close()
        return answer


def taken_port() -> tuple[socket.socket, int]:
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    return taken, taken.getsockname()[1]


@pytest.mark.root
async def test_a_service_from_the_machine_s_own_loopback(lan: Lan) -> None:
    """Node 1 has nobody on the node port; node 2 has: the connection finds it."""
    inside = namespaces.socket_in(lan.node_ns(1))
    inside.bind((lan.nodes[1].lan_ip, 30791))
    server = await asyncio.start_server(hello, sock=inside)
    taken, number = taken_port()
    cluster = HandCluster(
        (NODE, node("node-1", lan.nodes[0].lan_ip)), (NODE, node("node-2", lan.nodes[1].lan_ip))
    )
    cluster.put(SERVICE, balanced(port=number, node_port=30791))
    with taken:
        async with balancing(cluster, lan) as (balancer, journal):
            await until(lambda: len(cluster.written) >= 2)
            shown = cluster.docs[SERVICE, "default", "web"]
            local = local_ports(shown)[number]
            assert local != number
            assert shown["status"]["loadBalancer"]["ingress"][0]["ports"][0]["port"] == local
            for _ in range(4):
                assert await get(local) == b"hello"
                assert await get(30791) == b"hello"
            await journal.flush()
            told = [op.doc["message"] for op in cluster.written if not isinstance(op, Patch)]  # type: ignore[union-attr]
            assert (
                told[0]
                == f"port {number} is at 127.0.0.1:{local}, since 127.0.0.1:{number} is taken"
            )
            # Its own writes come back to it as changes and must not make it write again.
            patches = [op for op in cluster.written if isinstance(op, Patch)]
            assert len(patches) == 2
            cluster.put(SERVICE, service(annotations={LOCAL_PORTS: f"{number}={local}"}))
            await until(lambda: balancer.local_ports(("default", "web")) == {})
            with pytest.raises(ConnectionRefusedError):
                await get(local)
    server.close()


@pytest.mark.root
async def test_a_node_port_that_is_taken_is_a_sentence(lan: Lan) -> None:
    taken, number = taken_port()
    doc = service(type="NodePort", ports=[{"port": 80, "nodePort": number, "protocol": "TCP"}])
    cluster = HandCluster((SERVICE, doc))
    with taken:
        async with balancing(cluster, lan) as (_, journal):
            async with asyncio.timeout(30):
                while not cluster.written:
                    await settle(1)
                    await journal.flush()
    assert [op.doc["message"] for op in cluster.written] == [  # type: ignore[union-attr]
        f"port 80 is not at 127.0.0.1:{number}: it is taken; "
        f"on the nodes' own addresses it is at port {number}"
    ]
