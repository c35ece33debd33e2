"""Services routed by the real kernel, between real namespaces."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from longshore.base.clock import SystemClock
from longshore.core.objects.dynamic_ports import GIVEN
from longshore.core.objects.kinds import ENDPOINT_SLICE, SERVICE, Doc
from longshore.machinery.network import namespaces
from longshore.machinery.network.follow import ServiceWatch
from longshore.machinery.network.services.published import published
from longshore.machinery.network.services.run import ServiceRouting

from .network_world import (
    HandCluster,
    Lan,
    endpoint,
    endpoint_slice,
    off_loop,
    real_lan,
    service,
    shell,
    site,
)

pytestmark = pytest.mark.root


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[Lan]:
    with real_lan(tmp_path / "ns") as built:
        yield built


class Echo(asyncio.Protocol):
    """Says its name and whom it sees, and hangs up."""

    def __init__(self, name: str) -> None:
        self._name = name

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        seen = transport.get_extra_info("peername")[0]
        transport.write(f"{self._name} sees {seen}".encode())
        transport.close()


class EchoDatagrams(asyncio.DatagramProtocol):
    def __init__(self, name: str) -> None:
        self._name = name

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._transport.sendto(f"{self._name} sees {addr[0]}".encode(), addr)


async def serve(stack: ExitStack, netns: str, name: str, port: int = 80) -> None:
    """Answer on a TCP and a UDP port inside a namespace."""
    loop = asyncio.get_running_loop()
    tcp = namespaces.socket_in(netns)
    tcp.bind(("0.0.0.0", port))
    server = await loop.create_server(lambda: Echo(name), sock=tcp)
    stack.callback(server.close)
    udp = namespaces.socket_in(netns, kind=socket.SOCK_DGRAM)
    udp.bind(("0.0.0.0", port))
    transport, _ = await loop.create_datagram_endpoint(lambda: EchoDatagrams(name), sock=udp)
    stack.callback(transport.close)


async def ask(netns: str, ip: str, port: int, kind: int = socket.SOCK_STREAM) -> str:
    """What a client inside a namespace gets from an address."""
    client = namespaces.socket_in(netns, kind=kind)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    with client:
        async with asyncio.timeout(30):
            await loop.sock_connect(client, (ip, port))
            if kind == socket.SOCK_DGRAM:
                await loop.sock_sendall(client, b"?")
            return (await loop.sock_recv(client, 100)).decode()


@asynccontextmanager
async def routed(lan: Lan, cluster: HandCluster) -> AsyncIterator[list[ServiceRouting]]:
    watch = ServiceWatch(cluster, SystemClock())
    routings = [
        ServiceRouting(watch, site(node), SystemClock(), node_ns=lan.node_ns(index))
        for index, node in enumerate(lan.nodes)
    ]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(watch.run())]
        tasks += [group.create_task(routing.run()) for routing in routings]
        for routing in routings:
            await routing.ready.wait()
        yield routings
        for task in tasks:
            task.cancel()


async def test_every_way_to_a_service(lan: Lan) -> None:
    cluster = HandCluster()
    here, there = lan.pods(0), lan.pods(1)
    with ExitStack() as stack:
        await here.open()
        await there.open()
        a, b = await here.attach("a"), await there.attach("b")
        client = await here.attach("client")
        await serve(stack, a.netns, "a")
        await serve(stack, b.netns, "b")
        ports = [
            {"name": "http", "protocol": "TCP", "port": 8080, "nodePort": 30080},
            {"name": "dns", "protocol": "UDP", "port": 53},
        ]
        web = service(type="NodePort", ports=ports)
        both = endpoint_slice("web", endpoint(a.ip), endpoint(b.ip))
        both["ports"].append({"name": "dns", "protocol": "UDP", "port": 80})
        cluster.put(SERVICE, web)
        cluster.put(ENDPOINT_SLICE, both)
        async with routed(lan, cluster):
            # From a pod: both answer, and see the pod itself.
            seen = Counter([await ask(client.netns, "10.96.0.50", 8080) for _ in range(60)])
            assert set(seen) == {f"a sees {client.ip}", f"b sees {client.ip}"}
            assert min(seen.values()) > 10
            # From the node's own namespace.
            assert (await ask(lan.node_ns(1), "10.96.0.50", 8080))[0] in "ab"
            # UDP.
            answer = await ask(client.netns, "10.96.0.50", 53, socket.SOCK_DGRAM)
            assert answer.endswith(client.ip)
            # A node port from the LAN, on either node, whichever endpoint is chosen.
            for node in lan.nodes:
                for _ in range(10):
                    assert (await ask(lan.lan_ns, node.lan_ip, 30080))[0] in "ab"
            # A pod that reaches itself.
            for _ in range(20):
                assert (await ask(a.netns, "10.96.0.50", 8080))[0] in "ab"
            # A node port from a pod, and from the node itself.
            assert (await ask(client.netns, lan.nodes[0].lan_ip, 30080))[0] in "ab"
            assert (await ask(lan.node_ns(0), lan.nodes[0].lan_ip, 30080))[0] in "ab"
        await here.close()
        await there.close()


async def until_text(routing: ServiceRouting, lan: Lan, present: str, absent: str = "\0") -> None:
    """Wait for the kernel's table to say so."""
    async with asyncio.timeout(30):
        while True:
            text = await off_loop(lambda: listed(lan.node_ns(0)))
            if present in text and absent not in text:
                return


def listed(netns: str) -> str:
    return shell(netns, "nft", "list", "table", "ip", "longshore").stdout


async def test_a_change_is_one_small_transaction(lan: Lan) -> None:
    pods = lan.pods(0)
    web = service()
    cluster = HandCluster((SERVICE, web))
    with ExitStack() as stack:
        await pods.open()
        a, b, client = [await pods.attach(uid) for uid in ("a", "b", "client")]
        await serve(stack, a.netns, "a")
        await serve(stack, b.netns, "b")
        async with routed(lan, cluster) as (routing, _):
            # No endpoints: refused at once, not left to time out; an unknown port likewise.
            for port in (80, 81):
                with pytest.raises(ConnectionRefusedError):
                    await ask(client.netns, "10.96.0.50", port)
                with pytest.raises(ConnectionRefusedError):
                    await ask(lan.node_ns(0), "10.96.0.50", port)
            cluster.put(ENDPOINT_SLICE, endpoint_slice("web", endpoint(a.ip)))
            await until_text(routing, lan, a.ip + ":80")
            assert (await ask(client.netns, "10.96.0.50", 80))[0] == "a"
            cluster.put(ENDPOINT_SLICE, endpoint_slice("web", endpoint(b.ip)))
            await until_text(routing, lan, b.ip + ":80")
            assert (await ask(client.netns, "10.96.0.50", 80))[0] == "b"
            cluster.drop(SERVICE, web)
            await until_text(routing, lan, "chain serve", "svc/")
            with pytest.raises(ConnectionRefusedError):
                await ask(client.netns, "10.96.0.50", 80)
        await pods.close()


async def test_a_client_stays_with_its_endpoint(lan: Lan) -> None:
    pods = lan.pods(0)
    sticky = service(sessionAffinity="ClientIP")
    with ExitStack() as stack:
        await pods.open()
        names = ("a", "b", "c")
        at = {name: await pods.attach(name) for name in names}
        for name, place in at.items():
            await serve(stack, place.netns, name)
        clients = [await pods.attach(f"client-{number}") for number in range(8)]
        cluster = HandCluster((SERVICE, sticky))
        cluster.put(
            ENDPOINT_SLICE, endpoint_slice("web", *(endpoint(at[name].ip) for name in names))
        )
        async with routed(lan, cluster) as (routing, _):
            first = [(await ask(c.netns, "10.96.0.50", 80))[0] for c in clients]
            for _ in range(3):
                assert [(await ask(c.netns, "10.96.0.50", 80))[0] for c in clients] == first
            # One endpoint goes: only its clients move.
            cluster.put(
                ENDPOINT_SLICE, endpoint_slice("web", *(endpoint(at[name].ip) for name in "ab"))
            )
            await until_text(routing, lan, "chain serve", at["c"].ip + ":80")
            after = [(await ask(c.netns, "10.96.0.50", 80))[0] for c in clients]
            assert [now for was, now in zip(first, after, strict=True) if was != "c"] == [
                was for was in first if was != "c"
            ]
            assert "c" not in after
            # Affinity goes, and comes back with another time: the sets follow.
            cluster.put(SERVICE, service())
            await until_text(routing, lan, "chain serve", "clients/")
            config = {"clientIP": {"timeoutSeconds": 60}}
            cluster.put(
                SERVICE, sticky | {"spec": sticky["spec"] | {"sessionAffinityConfig": config}}
            )
            await until_text(routing, lan, "timeout 1m")
            assert (await ask(clients[0].netns, "10.96.0.50", 80))[0] in "ab"
        await pods.close()


async def test_a_table_that_somebody_removed_is_made_anew(lan: Lan) -> None:
    cluster = HandCluster((SERVICE, service()))
    async with routed(lan, cluster) as (routing, _):
        await off_loop(lambda: shell(lan.node_ns(0), "nft", "delete", "table", "ip", "longshore"))
        cluster.put(ENDPOINT_SLICE, endpoint_slice("web", endpoint("10.42.1.77")))
        await until_text(routing, lan, "10.42.1.77:80")
        cluster.break_feeds()
        cluster.refuse_lists = 0
        cluster.docs[ENDPOINT_SLICE, "default", "web-1"] = endpoint_slice(
            "web", endpoint("10.42.1.78")
        )
        await until_text(routing, lan, "10.42.1.78:80")


def pod(uid: str, *ports: Doc, **annotations: str) -> Doc:
    metadata = {"uid": uid, "name": uid, "namespace": "default", "annotations": annotations}
    return {"metadata": metadata, "spec": {"containers": [{"name": "c", "ports": [*ports]}]}}


async def test_ports_of_the_node_lead_to_its_pods(lan: Lan) -> None:
    """Those of one number on several addresses, of one pod or of several (the conformance suite's
    pods on one hostPort with different hostIP and protocol)."""
    here, node = lan.pods(0), lan.nodes[0]
    with ExitStack() as stack:
        await here.open()
        every, narrow, given = [await here.attach(name) for name in ("every", "narrow", "given")]
        for place, name in ((every, "every"), (narrow, "narrow"), (given, "given")):
            await serve(stack, place.netns, name)
        async with routed(lan, HandCluster()) as (routing, _):
            udp = {"containerPort": 80, "hostPort": 8080, "protocol": "UDP"}
            await routing.publish("every", published(pod("every", udp), every.ip))
            tcp = {"containerPort": 80, "hostPort": 8080, "protocol": "TCP", "hostIP": "127.0.0.1"}
            await routing.publish("narrow", published(pod("narrow", tcp), narrow.ip))
            chosen = pod(
                "given", {"name": "http", "containerPort": 80}, **{GIVEN: '{"http":20007}'}
            )
            await routing.publish("given", published(chosen, given.ip))
            for netns, ip in (
                (lan.lan_ns, node.lan_ip), (lan.node_ns(0), node.lan_ip),
                (lan.node_ns(0), "127.0.0.1"), (every.netns, node.lan_ip),
            ):  # fmt: skip
                assert (await ask(netns, ip, 8080, socket.SOCK_DGRAM)).startswith("every")
                assert (await ask(netns, ip, 20007)).startswith("given")
            assert (await ask(lan.node_ns(0), "127.0.0.1", 8080)).startswith("narrow")
            with pytest.raises(ConnectionRefusedError):
                await ask(lan.lan_ns, node.lan_ip, 8080)
            routing.withdraw("given")
            await routing.publish("again", published(pod("again", tcp | {"hostPort": 1}), every.ip))
            with pytest.raises(ConnectionRefusedError):
                await ask(lan.lan_ns, node.lan_ip, 20007)
        await here.close()
