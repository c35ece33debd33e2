"""The whole of it: two nodes with pods, a service by name and by address, and nothing left behind."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from longshore.base.clock import SystemClock
from longshore.core.objects.kinds import ENDPOINT_SLICE, NODE, SERVICE
from longshore.machinery.loop.recorder import Journal
from longshore.machinery.network import namespaces
from longshore.machinery.network.balancer.plan import local_ports
from longshore.machinery.network.balancer.run import Balancer
from longshore.machinery.network.errors import UplinkFailure
from longshore.machinery.network.lan import leftovers
from longshore.machinery.network.node import NodeNetwork
from longshore.machinery.network.uplink import Uplink, end_leftover
from longshore.machinery.network.uplink import leftovers as leftovers_of_uplink
from longshore.testing.clock import settle

from .network_world import (
    HandCluster,
    endpoint,
    endpoint_slice,
    off_loop,
    process,
    real_lan,
    service,
    shell,
)
from .test_balancer import node
from .test_lan_real import of_the_machine

pytestmark = pytest.mark.root


async def said(netns: str, *command: str) -> str:
    done = await off_loop(lambda: shell(netns, *command))
    return done.stdout + done.stderr


async def listening(netns: str, ip: str, port: int) -> None:
    """Wait for a server that has just been started."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(30):
        while True:
            with namespaces.socket_in(netns) as probe:
                probe.setblocking(False)
                try:
                    await loop.sock_connect(probe, (ip, port))
                except ConnectionRefusedError:
                    await settle(5)
                else:
                    return


@pytest.mark.slow
async def test_a_cluster_s_network_from_end_to_end(tmp_path: Path) -> None:
    before = of_the_machine(tmp_path)
    page = tmp_path / "www"
    page.mkdir()
    (page / "index.html").write_text("hello from a pod\n")
    ports = [{"name": "http", "protocol": "TCP", "port": 8321, "nodePort": 30832}]
    cluster = HandCluster((SERVICE, service(type="LoadBalancer", ports=ports)))
    with real_lan(tmp_path / "ns") as lan, ExitStack() as stack:
        for place in lan.nodes:
            cluster.put(NODE, node(place.name, place.lan_ip))
        pods = [lan.pods(0, pool_size=2), lan.pods(1, pool_size=2)]
        networks = [
            NodeNetwork(place, cluster, pods[index], SystemClock(), node_ns=lan.node_ns(index))
            for index, place in enumerate(lan.nodes)
        ]
        journal = Journal(cluster, SystemClock())
        balancer = Balancer(cluster, lan.lan_ns, SystemClock(), journal)
        async with asyncio.TaskGroup() as group:
            for of_node in pods:
                await of_node.open()
            tasks = [group.create_task(network.run()) for network in networks]
            tasks.append(group.create_task(balancer.run()))
            for network in networks:
                await network.ready()
            server, client = await pods[1].attach("server"), await pods[0].attach("client")
            httpd = ("busybox", "httpd", "-f", "-p", "80", "-h", str(page))
            stack.enter_context(process(server.netns, *httpd))
            await listening(client.netns, server.ip, 80)
            cluster.put(ENDPOINT_SLICE, endpoint_slice("web", endpoint(server.ip)))
            await listening(client.netns, "10.96.0.50", 8321)

            assert "0% packet loss" in await said(client.netns, "busybox", "ping", "-c1", server.ip)
            fetch = ("busybox", "wget", "-q", "-O", "-")
            for netns, url in (
                (client.netns, "http://10.96.0.50:8321/"),
                (server.netns, "http://10.96.0.50:8321/"),
                (lan.node_ns(0), "http://10.96.0.50:8321/"),
                (lan.lan_ns, f"http://{lan.nodes[0].lan_ip}:30832/"),
                (lan.lan_ns, f"http://{lan.nodes[1].lan_ip}:30832/"),
            ):
                assert await said(netns, *fetch, url) == "hello from a pod\n", (netns, url)
            found = await said(
                client.netns, "busybox", "nslookup", "-type=a", "web.default.svc.cluster.local",
                "10.96.0.10",
            )  # fmt: skip
            assert "10.96.0.50" in found
            outside = await said(client.netns, "busybox", "nslookup", "example.org", "10.96.0.10")
            assert "NXDOMAIN" in outside
            local = local_ports(cluster.docs[SERVICE, "default", "web"])[8321]
            reader, writer = await asyncio.open_connection("127.0.0.1", local)
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            assert (await reader.read()).endswith(b"hello from a pod\n")
            writer.close()
            await writer.wait_closed()
            for task in tasks:
                task.cancel()
        for of_node in pods:
            await of_node.close()
    assert of_the_machine(tmp_path) == before
    assert leftovers(tmp_path / "ns") == []


async def test_an_uplink_starts_and_ends(tmp_path: Path) -> None:
    """Only that: there is no outside here to reach through it."""
    with real_lan(tmp_path / "ns", 1) as lan:
        pid_file = tmp_path / "pasta.pid"
        uplink = Uplink(Path(lan.lan_ns), pid_file, SystemClock())
        await uplink.start()
        try:
            [pid] = leftovers_of_uplink(pid_file)
            routes = await said(lan.lan_ns, "ip", "route")
            assert "default via 192.0.2.1 dev uplink0" in routes
            rules = await said(lan.lan_ns, "nft", "list", "table", "ip", "longshore-uplink")
            assert 'oifname "uplink0"' in rules
            sockets = await said(lan.lan_ns, "ss", "-Hltn")
            assert sockets == "", "nothing is forwarded inwards"
        finally:
            await uplink.stop()
        await uplink.stop()
        assert not Path(f"/proc/{pid}").exists()
        assert not pid_file.exists()
        assert "uplink0" not in await said(lan.lan_ns, "ip", "link")


async def test_an_uplink_that_cannot_start_says_why(tmp_path: Path) -> None:
    with real_lan(tmp_path / "ns", 1) as lan:
        taken = await said(lan.lan_ns, "ip", "link", "add", "uplink0", "type", "bridge")
        assert taken == ""
        uplink = Uplink(Path(lan.lan_ns), tmp_path / "pid", SystemClock())
        with pytest.raises(UplinkFailure, match=r"pasta did not start: .*tun"):
            await uplink.start()


def test_a_stale_pid_file_ends_nobody_else(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    for text in ("", "nonsense", "999999999"):
        pid_file.write_text(text)
        end_leftover(pid_file)
        assert not pid_file.exists()
    with socket.socket(), process("", "busybox", "sleep", "60") as innocent:
        pid_file.write_text(str(innocent.pid))
        end_leftover(pid_file)
        assert innocent.poll() is None
