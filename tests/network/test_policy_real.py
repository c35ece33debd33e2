"""NetworkPolicies in the kernel: pods of two nodes, and packets that pass or do not."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from longshore.base.clock import SystemClock
from longshore.core.objects.errors import ApiError
from longshore.core.objects.kinds import (
    ENDPOINT_SLICE,
    NAMESPACE_PEER,
    NETWORK_POLICY,
    POD_PEER,
    SERVICE,
    Doc,
    Kind,
)
from longshore.core.registry.client import Feed, Listing
from longshore.machinery.network import namespaces
from longshore.machinery.network.errors import NetworkFailure
from longshore.machinery.network.node import NodeNetwork
from longshore.machinery.network.pods import PodAddress, PodNetwork
from longshore.machinery.network.policy import nft
from longshore.machinery.network.policy.nft import TABLE
from longshore.machinery.network.policy.plan import Book
from longshore.machinery.network.services.nft import Nft
from longshore.testing.clock import settle

from . import policies
from .network_world import (
    HandCluster,
    Lan,
    endpoint,
    endpoint_slice,
    off_loop,
    real_lan,
    service,
    shell,
)
from .policies import policy
from .test_policy_plan import World

pytestmark = pytest.mark.root

# How long nothing must come for a packet to count as dropped.
_SILENCE_S = 0.15
_PATIENCE_S = 30.0


class NumberedCluster(HandCluster):
    """As a server numbers what it is given; pods are chosen by node and policies by namespace."""

    def __init__(self) -> None:
        super().__init__()
        self.revision = 0
        self.followed: list[tuple[str, str]] = []
        self.deaf = self.closed = False

    def put(self, kind: Kind, doc: Doc) -> None:
        self.revision += 1
        metadata = {**doc["metadata"], "resourceVersion": str(self.revision)}
        if self.deaf:
            self.docs[self._key(kind, doc)] = {**doc, "metadata": metadata}
        else:
            super().put(kind, {**doc, "metadata": metadata})

    async def list(
        self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = ""
    ) -> Listing:
        if self.closed:
            raise ApiError("not now")
        whole = await super().list(kind)
        node = fields.removeprefix("spec.nodeName=")
        chosen = [
            doc
            for doc in whole.items
            if namespace in ("", doc["metadata"].get("namespace"))
            and node in ("", doc.get("spec", {}).get("nodeName"))
        ]
        return Listing(chosen, self.revision)

    async def list_and_watch(
        self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = ""
    ) -> tuple[Listing, Feed]:
        self.followed.append((kind.plural, fields))
        _, feed = await super().list_and_watch(kind)
        return await self.list(kind, namespace, fields=fields), feed


class Machines:
    """Two nodes that enforce policies, and pods on them that listen on ports."""

    def __init__(self, lan: Lan, cluster: NumberedCluster, pods: list[PodNetwork]) -> None:
        self.lan = lan
        self.cluster = cluster
        self.pods = pods
        self.places: dict[str, PodAddress] = {}
        self.networks: list[NodeNetwork] = []
        self._stack = ExitStack()

    def boot(self) -> None:
        """A new life of both agents."""
        self.networks = [
            NodeNetwork(
                node, self.cluster, self.pods[index], SystemClock(), node_ns=self.lan.node_ns(index)
            )
            for index, node in enumerate(self.lan.nodes)
        ]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self.boot()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(network.run()) for network in self.networks]
            for network in self.networks:
                await network.ready()
            yield
            for task in tasks:
                task.cancel()

    async def start(
        self,
        name: str,
        node: int,
        *ports: int,
        namespace: str = "a",
        told: bool = True,
        **more: Any,
    ) -> PodAddress:
        """A pod as a kubelet starts one: an address, then the guard, then what runs in it."""
        doc = policies.pod(name, "", {"app": name}, namespace=namespace, **more)
        doc["spec"]["nodeName"] = self.lan.nodes[node].name
        place = await self.pods[node].attach(doc["metadata"]["uid"])
        await self.networks[node].policies.admit(doc, place.ip)
        for port in ports:
            self.listen(place.netns, port)
        self.places[name] = place
        if told:
            doc["status"]["podIP"] = place.ip
            self.cluster.put(POD_PEER, doc)
        return place

    def listen(self, netns: str, port: int) -> socket.socket:
        listener = self._stack.enter_context(namespaces.socket_in(netns))
        listener.bind(("0.0.0.0", port))
        listener.listen()
        listener.setblocking(False)
        return listener

    def close(self) -> None:
        self._stack.close()

    async def passes(self, source: str, target: str, port: int = 80) -> bool:
        """Whether a connection from a pod to a pod or an address is answered."""
        return await reaches(self.places[source].netns, self._ip(target), port, _PATIENCE_S)

    async def refused(self, source: str, target: str, port: int = 80) -> bool:
        """Whether nothing answers."""
        return not await reaches(self.places[source].netns, self._ip(target), port, _SILENCE_S)

    async def comes(self, expected: bool, source: str, target: str, port: int = 80) -> None:
        """Wait until it is so."""
        async with asyncio.timeout(_PATIENCE_S):
            while await self.refused(source, target, port) is expected:
                await settle(5)

    def _ip(self, target: str) -> str:
        return self.places[target].ip if target in self.places else target


async def reaches(netns: str, ip: str, port: int, within_s: float) -> bool:
    with namespaces.socket_in(netns) as caller:
        caller.setblocking(False)
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(within_s):
                await asyncio.get_running_loop().sock_connect(caller, (ip, port))
        return _is_connected(caller)


def _is_connected(caller: socket.socket) -> bool:
    """As the kernel says, who may have heard the answer while this process was not let run."""
    try:
        caller.getpeername()
    except OSError:
        return False
    return True


@asynccontextmanager
async def machines(directory: Path) -> AsyncIterator[Machines]:
    """Two nodes whose agents run."""
    async with stopped_machines(directory) as it, it.running():
        yield it


@asynccontextmanager
async def stopped_machines(directory: Path) -> AsyncIterator[Machines]:
    cluster = NumberedCluster()
    for name in "ab":
        cluster.put(NAMESPACE_PEER, policies.namespace(name, team=name))
    with real_lan(directory) as lan:
        made = Machines(lan, cluster, [lan.pods(0), lan.pods(1)])
        for pods in made.pods:
            await pods.open()
        try:
            yield made
        finally:
            made.close()
            for pods in made.pods:
                await pods.close()


async def rules(of: Machines, node: int = 0) -> str:
    done = await off_loop(
        lambda: shell(of.lan.node_ns(node), "nft", "list", "table", *TABLE.split())
    )
    return done.stdout


async def until(seen: Callable[[], Any]) -> None:
    async with asyncio.timeout(_PATIENCE_S):
        while not await seen():
            await settle(5)


def put(of: Machines, doc: Doc) -> None:
    of.cluster.put(NETWORK_POLICY, doc)


async def test_from_default_deny_to_exactly_who_is_allowed(tmp_path: Path) -> None:
    async with machines(tmp_path / "ns") as it:
        await it.start("web", 0, 80, 81, ports=[("http", "TCP", 81)])
        await it.start("near", 0, 80)
        await it.start("far", 1, 80)
        await it.start("guest", 1, 80, namespace="b")
        for source in ("near", "far", "guest"):
            assert await it.passes(source, "web")
        assert await rules(it) == ""
        assert [kind for kind, _ in it.cluster.followed if kind == "podpeers"] == []

        put(it, policy("deny", policyTypes=["Ingress", "Egress"]))
        for source in ("near", "far", "guest"):
            await it.comes(False, source, "web")
        await it.comes(False, "web", "guest")
        assert await it.passes("web", "web"), "a pod reaches itself"
        assert await reaches(it.lan.node_ns(0), it.places["web"].ip, 80, _PATIENCE_S), (
            "a node reaches its pods"
        )
        own_node = it.lan.nodes[0].lan_ip
        assert await said_no(it.places["web"].netns, own_node), "a pod reaches its node"
        assert ("podpeers", "spec.nodeName=node-1") in it.cluster.followed
        assert ("podpeers", "") not in it.cluster.followed, "nothing names pods"

        out = policy("out", {"app": "near"}, policyTypes=["Egress"], egress=[{}])
        put(it, out)
        named = {"matchLabels": {"app": "near"}}
        ports = [{"port": "http"}]
        rule = {"from": [{"podSelector": named}, {"namespaceSelector": {"matchLabels": {"team": "b"}}}],
                "ports": ports}  # fmt: skip
        put(it, policy("in", {"app": "web"}, ingress=[rule]))
        await it.comes(True, "near", "web", 81)
        await it.comes(True, "guest", "web", 81)
        assert await it.refused("near", "web", 80)
        assert await it.refused("far", "web", 81)
        assert ("podpeers", "") in it.cluster.followed

        block = {"cidr": "10.42.0.0/16", "except": [f"{it.places['guest'].ip}/32"]}
        put(it, policy("in", {"app": "web"}, ingress=[{"from": [{"ipBlock": block}]}]))
        await it.comes(False, "guest", "web", 81)
        assert await it.passes("near", "web", 80)

        for doc in [d for (kind, _, _), d in it.cluster.docs.items() if kind is NETWORK_POLICY]:
            it.cluster.drop(NETWORK_POLICY, doc)
        await it.comes(True, "far", "web", 80)
        await until(lambda: gone(it))


async def said_no(netns: str, ip: str) -> bool:
    """Whether somebody is there to refuse a connection."""
    with namespaces.socket_in(netns) as caller:
        caller.setblocking(False)
        async with asyncio.timeout(_PATIENCE_S):
            try:
                await asyncio.get_running_loop().sock_connect(caller, (ip, 1))
            except ConnectionRefusedError:
                return True
    return False


async def gone(of: Machines) -> bool:
    return await rules(of, 0) + await rules(of, 1) == ""


async def test_egress_to_a_service_is_judged_by_the_pod_behind_it(tmp_path: Path) -> None:
    async with machines(tmp_path / "ns") as it:
        await it.start("client", 0)
        web = await it.start("web", 1, 80)
        other = await it.start("other", 1, 80)
        for name, ip, behind in (("web", "10.96.0.50", web), ("other", "10.96.0.51", other)):
            it.cluster.put(SERVICE, service(name, ip))
            it.cluster.put(ENDPOINT_SLICE, endpoint_slice(name, endpoint(behind.ip)))
            await it.comes(True, "client", ip)
        to_web = {"to": [{"podSelector": {"matchLabels": {"app": "web"}}}]}
        put(it, policy("out", {"app": "client"}, policyTypes=["Egress"], egress=[to_web]))
        await it.comes(False, "client", "10.96.0.51")
        assert await it.passes("client", "10.96.0.50")
        assert await it.passes("client", "web")
        assert await it.refused("client", "other")


async def test_the_cluster_s_network_is_let_in_by_its_addresses(tmp_path: Path) -> None:
    """The API's proxy and published ports come from there, and other nodes."""
    async with machines(tmp_path / "ns") as it:
        web = await it.start("web", 0, 80)
        put(it, policy("deny", policyTypes=["Ingress"]))
        outside = it.lan.lan_ns, it.lan.node_ns(1)
        for netns in outside:
            await until(partial(closed, netns, web.ip))
        put(it, policy("lan", ingress=[{"from": [{"ipBlock": {"cidr": "10.90.0.0/16"}}]}]))
        for netns in outside:
            await until(partial(reaches, netns, web.ip, 80, _SILENCE_S))


async def test_labels_of_pods_and_namespaces_change_what_passes(tmp_path: Path) -> None:
    async with machines(tmp_path / "ns") as it:
        await it.start("web", 0, 80)
        await it.start("guest", 1, namespace="b")
        team, tier = {"matchLabels": {"team": "b"}}, {"matchLabels": {"app": "guest"}}
        rule = {"from": [{"namespaceSelector": team, "podSelector": tier}]}
        put(it, policy("in", {"app": "web"}, ingress=[rule]))
        await until(partial(judged, it))
        await it.comes(True, "guest", "web")
        it.cluster.put(NAMESPACE_PEER, policies.namespace("b", team="x"))
        await it.comes(False, "guest", "web")
        it.cluster.put(NAMESPACE_PEER, policies.namespace("b", team="b"))
        await it.comes(True, "guest", "web")
        guest = it.cluster.docs[POD_PEER, "b", "guest"]
        other = {**guest, "metadata": {**guest["metadata"], "labels": {"app": "other"}}}
        it.cluster.put(POD_PEER, other)
        await it.comes(False, "guest", "web")
        web = it.cluster.docs[POD_PEER, "a", "web"]
        it.cluster.put(POD_PEER, {**web, "metadata": {**web["metadata"], "labels": {}}})
        await it.comes(True, "guest", "web")
        it.cluster.drop(POD_PEER, other)


async def closed(netns: str, ip: str) -> bool:
    return not await reaches(netns, ip, 80, _SILENCE_S)


async def test_a_pod_reaches_itself_through_its_service(tmp_path: Path) -> None:
    async with machines(tmp_path / "ns") as it:
        web = await it.start("web", 0, 80)
        await it.start("client", 0)
        it.cluster.put(SERVICE, service("web", "10.96.0.50"))
        it.cluster.put(ENDPOINT_SLICE, endpoint_slice("web", endpoint(web.ip)))
        await it.comes(True, "web", "10.96.0.50")
        put(it, policy("deny", policyTypes=["Ingress", "Egress"]))
        await it.comes(False, "client", "web")
        assert await it.passes("web", "10.96.0.50")


async def test_what_is_forbidden_ends_also_for_connections_that_are_open(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with machines(tmp_path / "ns") as it:
        web = await it.start("web", 0)
        client = await it.start("client", 1)
        listener = it.listen(web.netns, 80)
        with namespaces.socket_in(client.netns) as caller:
            caller.setblocking(False)
            await loop.sock_connect(caller, (web.ip, 80))
            answerer, _ = await loop.sock_accept(listener)
            with answerer:
                await loop.sock_sendall(caller, b"1")
                assert await loop.sock_recv(answerer, 10) == b"1"
                allow: Doc = {"from": [{"podSelector": {}}]}
                put(it, policy("some", {"app": "web"}, ingress=[allow]))
                await until(lambda: judged(it))
                await loop.sock_sendall(caller, b"2")
                assert await loop.sock_recv(answerer, 10) == b"2"
                await loop.sock_sendall(answerer, b"answer")
                assert await loop.sock_recv(caller, 10) == b"answer"
                put(it, policy("some", {"app": "web"}, policyTypes=["Ingress"]))
                await it.comes(False, "client", "web")
                await loop.sock_sendall(caller, b"3")
                await loop.sock_sendall(answerer, b"4")
                for end in (answerer, caller):
                    with pytest.raises(TimeoutError):
                        async with asyncio.timeout(_SILENCE_S):
                            await loop.sock_recv(end, 10)
                it.cluster.drop(NETWORK_POLICY, it.cluster.docs[NETWORK_POLICY, "a", "some"])
                async with asyncio.timeout(_PATIENCE_S):
                    assert await loop.sock_recv(answerer, 10) == b"3", "it was only held up"


async def judged(of: Machines) -> bool:
    return "jump side/" in await rules(of)


async def test_a_policy_that_was_there_before_a_pod_lets_no_packet_through(tmp_path: Path) -> None:
    """Though its feed is late: a flood is on its way to the address before the pod has it."""
    async with machines(tmp_path / "ns") as it:
        far = await it.start("far", 1)
        it.cluster.deaf = True
        put(it, policy("deny", policyTypes=["Ingress", "Egress"]))
        it.cluster.put(NAMESPACE_PEER, policies.namespace("a"))
        with namespaces.socket_in(far.netns, kind=socket.SOCK_DGRAM) as flood:
            flood.setblocking(False)
            over = False

            async def send() -> None:
                while not over:
                    for last in range(2, 6):
                        try:
                            flood.sendto(b"x", (f"10.42.1.{last}", 80))
                        except OSError:
                            continue
                    await settle(1)

            async with asyncio.TaskGroup() as group:
                group.create_task(send())
                await settle(5)
                web = await it.start("web", 0)
                with namespaces.socket_in(web.netns, kind=socket.SOCK_DGRAM) as ear:
                    ear.setblocking(False)
                    ear.bind(("0.0.0.0", 80))
                    with pytest.raises(TimeoutError):
                        async with asyncio.timeout(_SILENCE_S):
                            await asyncio.get_running_loop().sock_recv(ear, 10)
                    assert not await reaches(web.netns, far.ip, 80, _SILENCE_S)
                    it.cluster.deaf = False
                    put(it, policy("deny", {"app": "nobody"}))
                    async with asyncio.timeout(_PATIENCE_S):
                        assert await asyncio.get_running_loop().sock_recv(ear, 10) == b"x"
                over = True


async def test_rules_outlive_an_agent_and_the_next_one_goes_on(tmp_path: Path) -> None:
    friends, foes = (
        {"from": [{"podSelector": {"matchLabels": {"app": app}}}]} for app in ("friend", "foe")
    )
    async with stopped_machines(tmp_path / "ns") as it:
        async with it.running():
            await it.start("web", 0, 80)
            await it.start("friend", 1)
            await it.start("foe", 1)
            put(it, policy("in", {"app": "web"}, ingress=[friends]))
            await it.comes(False, "foe", "web")
            await it.comes(True, "friend", "web")
            before = await rules(it)
        assert await rules(it) == before
        assert await it.refused("foe", "web")
        assert await it.passes("friend", "web")
        it.cluster.break_feeds()
        async with it.running():
            await until(lambda: judged(it))
            assert await it.refused("foe", "web")
            assert await it.passes("friend", "web")
            put(it, policy("in", {"app": "web"}, ingress=[foes]))
            await it.comes(True, "foe", "web")
            await it.comes(False, "friend", "web")
            await it.pods[0].detach("a-web")
            await until(lambda: nobody_judged(it))


async def nobody_judged(of: Machines) -> bool:
    return "side/" not in await rules(of)


async def test_an_address_that_a_pod_does_not_have_is_not_believed(tmp_path: Path) -> None:
    """A packet that says to be from a pod that may."""
    async with machines(tmp_path / "ns") as it:
        web = await it.start("web", 0)
        friend = await it.start("friend", 1)
        foe = await it.start("foe", 1)
        friends = {"from": [{"podSelector": {"matchLabels": {"app": "friend"}}}]}
        put(it, policy("in", {"app": "web"}, ingress=[friends]))
        await until(lambda: judged(it))
        with namespaces.socket_in(web.netns, kind=socket.SOCK_DGRAM) as ear:
            ear.setblocking(False)
            ear.bind(("0.0.0.0", 80))
            for source, heard in ((friend.netns, True), (foe.netns, False)):
                with namespaces.socket_in(source, kind=socket.SOCK_RAW, protocol=255) as forger:
                    forger.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)
                    forger.sendto(datagram(friend.ip, web.ip, 80), (web.ip, 0))
                try:
                    async with asyncio.timeout(_PATIENCE_S if heard else _SILENCE_S):
                        got = await asyncio.get_running_loop().sock_recv(ear, 10)
                except TimeoutError:
                    got = b""
                assert bool(got) is heard


def datagram(source: str, target: str, port: int) -> bytes:
    """An IPv4 packet with a UDP datagram of one byte, as RFC 791 and 768 have it."""
    udp = struct.pack("!HHHH", 5555, port, 9, 0) + b"x"
    ends = socket.inet_aton(source) + socket.inet_aton(target)
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0) + ends + udp


async def test_nothing_starts_while_its_policies_cannot_be_read(tmp_path: Path) -> None:
    async with machines(tmp_path / "ns") as it:
        it.cluster.closed = True
        with pytest.raises(NetworkFailure, match="the network policies of the pod are not known"):
            await it.start("web", 0)
        it.cluster.closed = False
        await it.start("web", 0)


async def test_a_table_that_somebody_removed_is_made_anew(tmp_path: Path) -> None:
    """And no pod starts in between."""
    async with machines(tmp_path / "ns") as it:
        await it.start("web", 0, 80)
        await it.start("client", 1)
        put(it, policy("deny", policyTypes=["Ingress"]))
        await it.comes(False, "client", "web")
        removed = await off_loop(
            lambda: shell(it.lan.node_ns(0), "nft", "delete", "table", *TABLE.split())
        )
        assert removed.returncode == 0, removed.stderr
        assert await it.passes("client", "web")
        with pytest.raises(NetworkFailure, match="network policies are not in force: nftables"):
            await it.start("next", 0)
        assert await rules(it) == ""
        await it.start("next", 0, 80)
        assert await it.refused("client", "next")
        assert await it.refused("client", "web")


@pytest.mark.parametrize("seed", range(3))
def test_the_kernel_takes_every_change_and_keeps_nothing_that_is_over(
    tmp_path: Path, seed: int
) -> None:
    world, book, table = World(seed), Book(), nft.Table()
    namespaces.create(place := tmp_path / "node")
    try:
        with namespaces.entered(place):
            kernel = Nft()
            kernel.run(nft.base("10.42.1.0/24"))
            for _ in range(100):
                for _ in range(1 + world.chance.below(3)):
                    world.step(book)
                kernel.run(table.transaction(book.take()))
            bit_by_bit = kernel.run(f"list table {TABLE}")
            kernel.run(nft.base("10.42.1.0/24") + nft.Table().transaction(world.anew().whole()))
            anew = kernel.run(f"list table {TABLE}")
            kernel.close()
    finally:
        namespaces.delete(place)
    assert unnamed(bit_by_bit) == unnamed(anew), f"seed {seed}"
    assert "side/" in anew


def unnamed(listing: str) -> list[str]:
    """The lines of a table without the numbers of its chains and sets, in order."""
    plain = re.sub(r"(side|peers|block|pods|ports)/\d+", r"\1/N", listing)
    elements = re.sub(r"elements = \{([^}]*)\}", _in_order, plain, flags=re.DOTALL)
    return sorted(line.strip() for line in elements.splitlines())


def _in_order(found: re.Match[str]) -> str:
    return " ".join(sorted("".join(found[1].split()).split(",")))
