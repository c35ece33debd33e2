"""Certificates are renewed before they end, without a restart: ten years of a cluster, and what
connections show afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from cryptography import x509

from longshore.base.chance import Chance
from longshore.base.clock import SystemClock
from longshore.base.users import User, loop_user
from longshore.cluster.renewal import Renewals
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.pki import tls
from longshore.core.pki.authority import Authority, certificate_of
from longshore.core.pki.token_keys import TokenKeys
from longshore.core.registry.client import Create, Update
from longshore.core.registry.inprocess import InProcess
from longshore.core.registry.registry import Registry
from longshore.core.registry.wishes import Wish
from longshore.core.store.memory import MemoryStore
from longshore.machinery.controllers.certificates.run import CertificateRequests
from longshore.machinery.controllers.namespace.defaults import NamespaceDefaults
from longshore.machinery.kubelet import certificates as node_certificates
from longshore.machinery.kubelet.certificates import Renewal
from longshore.machinery.loop.loop import Loop
from longshore.testing.clock import VirtualClock, settle

from .test_certificates import Line

DAY_S = 86_400.0
NODE = User("system:node:n1", ("system:nodes", "system:masters", "system:authenticated"))


async def may_renew(who: User, wish: Wish) -> bool:
    return who.name == "system:node:n1" and wish.subresource == "selfnodeclient"


class Cluster:
    """A registry, the authority with its controller, and one node that has certificates."""

    def __init__(self, directory: Path) -> None:
        self.clock = VirtualClock()
        self.registry = Registry(MemoryStore(), self.clock, Chance.seeded(1))
        self.authority = Authority(directory, self.clock)
        self.keys = TokenKeys(directory, self.clock)
        self.servers = [
            self.authority.server("server", ["localhost"]),
            self.authority.client("admin", "longshore:admin", ["longshore:cluster-admins"]),
            self.authority.client("super-admin", "longshore:super-admin", ["system:masters"]),
        ]
        self.node = [
            self.authority.client("n1-client", "system:node:n1", ["system:nodes"]),
            self.authority.server("n1-server", ["n1", "192.0.2.7"]),
        ]
        self.loops = InProcess(self.registry, loop_user("loops"))
        self.renewed: list[str] = []

    def loop(self, reconciler: CertificateRequests | NamespaceDefaults) -> Loop[str]:
        return Loop(reconciler, self.registry.cache, self.clock, Chance.seeded(2))

    def approver(self) -> CertificateRequests:
        return CertificateRequests(
            self.registry.cache, self.loops, self.clock, self.authority, may_renew
        )

    def renewals(self) -> list[Renewal]:
        client = InProcess(self.registry, NODE)
        purposes = (
            node_certificates.client_purpose("n1"),
            node_certificates.serving_purpose("n1", ("192.0.2.7",)),
        )
        return [
            Renewal(pair, one, client, self.clock, partial(self.renewed.append, pair.key.name))
            for pair, one in zip(self.node, purposes, strict=True)
        ]

    async def begin(self) -> None:
        await self.loops.write(Create(kinds.NAMESPACE, {"metadata": {"name": "default"}}))
        node = await self.loops.write(Create(kinds.NODE, {"metadata": {"name": "n1"}}))
        addresses = [{"type": "InternalIP", "address": "192.0.2.7"}]
        await self.loops.write(
            Update(kinds.NODE, {**node, "status": {"addresses": addresses}}, "status")
        )

    def requests(self) -> list[Doc]:
        """Those for serving certificates that nobody has decided."""
        found = self.registry.cache.all(kinds.CSR)
        serving = [one for one in found if one["spec"]["signerName"].endswith("kubelet-serving")]
        return [one for one in serving if "conditions" not in (one.get("status") or {})]

    def check(self) -> None:
        """Everything is valid now, and signed by the authority that everybody is told of."""
        authority, now = certificate_of(self.authority.pair), self.clock.now()
        for pair in (self.authority.pair, *self.servers, *self.node):
            life = pair.lifetime
            assert life.begins <= now < life.ends, (pair, life, now)
            certificate_of(pair).verify_directly_issued_by(authority)
        told = self.registry.cache.get(kinds.CONFIG_MAP, "default", "kube-root-ca.crt")
        assert told is not None
        believed = x509.load_pem_x509_certificate(told["data"]["ca.crt"].encode())
        for pair in (*self.servers, *self.node):
            certificate_of(pair).verify_directly_issued_by(believed)
        assert now < believed.not_valid_after_utc.timestamp()


@asynccontextmanager
async def cluster(directory: Path) -> AsyncIterator[Cluster]:
    made = Cluster(directory)
    await made.registry.open()
    async with asyncio.TaskGroup() as crew:
        tasks = [crew.create_task(made.registry.run())]
        await made.begin()
        renewals = Renewals(
            made.authority,
            made.servers,
            made.keys,
            made.clock,
            lambda: made.renewed.append("server"),
        )
        parts = [
            made.loop(made.approver()).run(),
            made.loop(NamespaceDefaults(made.registry.cache, made.loops, made.authority)).run(),
            renewals.run(),
            *(one.run(Chance.seeded(3)) for one in made.renewals()),
        ]
        tasks += [crew.create_task(part) for part in parts]
        await settle()
        yield made
        for task in tasks:
            task.cancel()
    await made.registry.close()


async def test_nothing_ends_in_ten_years(tmp_path: Path) -> None:
    async with cluster(tmp_path) as world:
        keys = [pair.key.read_bytes() for pair in world.node]
        first = certificate_of(world.authority.pair)
        for _ in range(122):
            await world.clock.advance(30 * DAY_S)
            world.check()
        assert world.clock.monotonic() > 3650 * DAY_S
        assert certificate_of(world.authority.pair).serial_number != first.serial_number
        assert all(pair.key.read_bytes() != key for pair, key in zip(world.node, keys, strict=True))
        for name in ("n1-client.key", "n1-server.key"):
            assert 11 <= world.renewed.count(name) <= 15, (name, world.renewed)
        assert 12 <= world.renewed.count("server") <= 26, "certificates, and the key of tokens"
        assert world.registry.cache.all(kinds.CSR) == [], "old requests are tidied away"
        assert len(world.keys.read()) == 13, "one for every 292 days; those before are believed"


async def test_a_node_that_is_refused_keeps_what_it_has_and_asks_again(tmp_path: Path) -> None:
    async with cluster(tmp_path) as world:
        node = world.registry.cache.get(kinds.NODE, "", "n1")
        assert node is not None
        moved = [{"type": "InternalIP", "address": "192.0.2.8"}]
        await world.loops.write(
            Update(kinds.NODE, {**node, "status": {"addresses": moved}}, "status")
        )
        _, serving = world.node
        before = serving.key.read_bytes()
        while not world.requests():
            await world.clock.advance(DAY_S)
        await world.clock.advance(3600.0)
        assert world.clock.now() < serving.lifetime.ends
        assert serving.key.read_bytes() == before
        waiting = world.requests()
        assert waiting, "requests for an address that is not the node's wait for a person"
        for request in waiting:
            await approve(world, request)
        await world.clock.advance(600.0)
        assert serving.key.read_bytes() != before


async def approve(world: Cluster, request: Doc) -> None:
    told = {"type": "Approved", "status": "True", "reason": "KubectlApprove", "message": "yes"}
    decided = {**request, "status": {"conditions": [told]}}
    await world.loops.write(Update(kinds.CSR, decided, "approval"))


async def test_open_contexts_show_what_is_new(tmp_path: Path) -> None:
    clock = VirtualClock(SystemClock().now() - 300 * DAY_S)
    authority = Authority(tmp_path, clock)
    serving, showing = authority.server("server", ["localhost"]), authority.client("c", "jane", [])
    after: list[str] = []
    keys = TokenKeys(tmp_path, clock)
    renewals = Renewals(authority, [serving], keys, clock, lambda: after.append("renewed"))
    ca = authority.pair.certificate
    server = renewals.shown_by(tls.server_context(serving, ca), serving)
    client = tls.client_context(showing, ca)

    def serial() -> object:
        line = Line(client, server)
        line.shake()
        return (line.client.getpeercert() or {})["serialNumber"]

    first = serial()
    renewals.renew_due()
    assert (serial(), after) == (first, []), "nothing is due"
    await clock.advance(300 * DAY_S)
    renewals.renew_due()
    assert serial() != first
    assert after == ["renewed"]


def test_servers_that_share_their_files_renew_once_and_all_take_it_up(tmp_path: Path) -> None:
    clock = VirtualClock()
    authority, keys = Authority(tmp_path, clock), TokenKeys(tmp_path, clock)
    pair = authority.server("server", ["localhost"])
    taken_up: list[str] = []
    servers = [
        Renewals(authority, [pair], keys, clock, partial(taken_up.append, name)) for name in "abc"
    ]
    asyncio.run(clock.advance(293 * DAY_S))
    certificates, signing = set(), set()
    for server in (*servers, *servers):
        server.renew_due()
        certificates.add(pair.certificate.read_bytes())
        signing.add(tuple(keys.read()))
    assert (taken_up, len(certificates), len(signing)) == (["a", "b", "c"], 1, 1)
