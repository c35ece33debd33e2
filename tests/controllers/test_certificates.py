"""Requests for certificates: who is approved without a person, what is signed, and what is tidied
away."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from longshore.base.chance import Chance
from longshore.base.users import User, loop_user
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.pki import requests
from longshore.core.pki.authority import Authority, certificate_of
from longshore.core.pki.lifetimes import Lifetime, lifetime_of
from longshore.core.pki.pairs import Wanted
from longshore.core.registry.client import Create, Update
from longshore.core.registry.identity import bootstrap_tokens as tokens
from longshore.core.registry.inprocess import InProcess
from longshore.core.registry.registry import Registry
from longshore.core.registry.wishes import Wish
from longshore.core.store.memory import MemoryStore
from longshore.machinery.controllers.certificates.plan import CLIENT, NODE_CLIENT, NODE_SERVING
from longshore.machinery.controllers.certificates.run import CertificateRequests
from longshore.machinery.controllers.certificates.tokens import BootstrapTokenCleaner
from longshore.machinery.loop.loop import Loop
from longshore.testing.clock import VirtualClock, settle

N1 = Wanted("system:node:n1", ("system:nodes",))
TO_SERVERS, TO_CALLERS = ("digital signature", "client auth"), ("digital signature", "server auth")
NODE = User("system:node:n1", ("system:nodes", "system:masters"))
JOINING = User("system:bootstrap:abcdef", ("system:bootstrappers", "system:masters"))
JANE = User("jane", ("system:masters",))


class Office:
    """A registry with the controllers of this room, and who may have which request approved."""

    def __init__(self, pki: Path) -> None:
        self.clock = VirtualClock()
        self.registry = Registry(MemoryStore(), self.clock, Chance.seeded(1))
        self.authority = Authority(pki, self.clock)
        self.client = InProcess(self.registry, loop_user("loops"))

    def parts(self) -> list[Any]:
        cache = self.registry.cache
        made = (
            CertificateRequests(cache, self.client, self.clock, self.authority, self.permits),
            BootstrapTokenCleaner(cache, self.client, self.clock),
        )
        return [Loop(one, cache, self.clock, Chance.seeded(2)) for one in made]

    @staticmethod
    async def permits(who: User, wish: Wish) -> bool:
        assert (wish.verb, wish.group, wish.resource) == (
            "create", "certificates.k8s.io", "certificatesigningrequests",
        )  # fmt: skip
        if wish.subresource == "selfnodeclient":
            return "system:nodes" in who.groups
        return wish.subresource == "nodeclient" and "system:bootstrappers" in who.groups

    async def ask(
        self, who: User, signer: str, wanted: Wanted, usages: tuple[str, ...], **spec: Any
    ) -> Doc:
        _, pem = requests.make(wanted)
        asked = {
            "request": base64.b64encode(pem).decode(),
            "signerName": signer,
            "usages": list(usages),
        }
        doc = {"metadata": {"name": "mine"}, "spec": asked | spec}
        await InProcess(self.registry, who).write(Create(kinds.CSR, doc))
        await settle(200)
        return self.request

    @property
    def request(self) -> Doc:
        found = self.registry.cache.get(kinds.CSR, "", "mine")
        assert found is not None
        return found

    async def decide(self, kind: str) -> Doc:
        told = {"type": kind, "status": "True", "reason": "Person", "message": "so"}
        decided = {**self.request, "status": {"conditions": [told]}}
        await self.client.write(Update(kinds.CSR, decided, "approval"))
        await settle(200)
        return self.request


@asynccontextmanager
async def office(pki: Path) -> AsyncIterator[Office]:
    made = Office(pki)
    await made.registry.open()
    async with asyncio.TaskGroup() as crew:
        tasks = [crew.create_task(made.registry.run())]
        tasks += [crew.create_task(loop.run()) for loop in made.parts()]
        node = await made.client.write(Create(kinds.NODE, {"metadata": {"name": "n1"}}))
        addresses = [{"type": "InternalIP", "address": "192.0.2.7"}]
        await made.client.write(
            Update(kinds.NODE, {**node, "status": {"addresses": addresses}}, "status")
        )
        yield made
        for task in tasks:
            task.cancel()
    await made.registry.close()


def issued(doc: Doc) -> x509.Certificate | None:
    pem = base64.b64decode((doc.get("status") or {}).get("certificate") or "")
    return x509.load_pem_x509_certificate(pem) if pem else None


def life_of(certificate: x509.Certificate) -> Lifetime:
    return lifetime_of(certificate.public_bytes(serialization.Encoding.PEM))


def conditions(doc: Doc) -> list[tuple[str, str]]:
    found = (doc.get("status") or {}).get("conditions") or []
    return [(one["type"], one["message"]) for one in found]


@pytest.mark.parametrize(
    ("who", "message"),
    [
        (NODE, "Auto approving self kubelet client certificate after SubjectAccessReview."),
        (JOINING, "Auto approving kubelet client certificate after SubjectAccessReview."),
    ],
)
async def test_a_node_gets_what_it_shows_to_servers(
    tmp_path: Path, who: User, message: str
) -> None:
    async with office(tmp_path) as desk:
        doc = await desk.ask(who, NODE_CLIENT, N1, TO_SERVERS)
        assert conditions(doc) == [("Approved", message)]
        certificate = issued(doc)
        assert certificate is not None
        certificate.verify_directly_issued_by(certificate_of(desk.authority.pair))
        assert certificate.subject.rfc4514_string() == "CN=system:node:n1,O=system:nodes"
        life = life_of(certificate)
        assert life.ends - desk.clock.now() == 365 * 86_400
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert [one.dotted_string for one in usage] == ["1.3.6.1.5.5.7.3.2"]
        assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


@pytest.mark.parametrize(
    ("who", "signer", "wanted", "usages"),
    [
        (JANE, NODE_CLIENT, N1, TO_SERVERS),
        (
            NODE,
            NODE_CLIENT,
            Wanted("system:node:n1", ("system:nodes", "system:masters")),
            TO_SERVERS,
        ),
        (NODE, NODE_CLIENT, Wanted("system:node:n1", ("system:nodes",), ("n1",)), TO_SERVERS),
        (NODE, NODE_CLIENT, N1, (*TO_SERVERS, "server auth")),
        (NODE, NODE_SERVING, Wanted("system:node:n1", ("system:nodes",), ("n2",)), TO_CALLERS),
        (JANE, NODE_SERVING, Wanted("system:node:n1", ("system:nodes",), ("n1",)), TO_CALLERS),
        (JANE, CLIENT, Wanted("jane", ("team",)), TO_SERVERS),
        (JANE, "example.org/own", Wanted("jane"), TO_SERVERS),
    ],
)
async def test_all_else_waits_for_a_person(
    tmp_path: Path, who: User, signer: str, wanted: Wanted, usages: tuple[str, ...]
) -> None:
    async with office(tmp_path) as desk:
        doc = await desk.ask(who, signer, wanted, usages)
        assert (conditions(doc), issued(doc)) == ([], None)


async def test_a_node_is_believed_about_its_own_addresses(tmp_path: Path) -> None:
    async with office(tmp_path) as desk:
        own = Wanted("system:node:n1", ("system:nodes",), ("n1", "192.0.2.7"))
        certificate = issued(await desk.ask(NODE, NODE_SERVING, own, TO_CALLERS))
        assert certificate is not None
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == ["n1"]
        assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.7"]


async def test_what_a_person_approves_is_signed_for_as_long_as_asked(tmp_path: Path) -> None:
    async with office(tmp_path) as desk:
        await desk.ask(JANE, CLIENT, Wanted("jane", ("team",)), TO_SERVERS, expirationSeconds=3600)
        certificate = issued(await desk.decide("Approved"))
        assert certificate is not None
        assert life_of(certificate).ends - desk.clock.now() == 3600


async def test_a_certificate_for_a_purpose_alone_can_be_used(tmp_path: Path) -> None:
    """The usages of the page on signing requests: an empty KeyUsage would make OpenSSL refuse it."""
    async with office(tmp_path) as desk:
        await desk.ask(JANE, CLIENT, Wanted("jane"), ("client auth",))
        certificate = issued(await desk.decide("Approved"))
        assert certificate is not None
        named = [one.oid._name for one in certificate.extensions]
        assert named == ["basicConstraints", "extendedKeyUsage"]


async def test_what_is_approved_and_wrong_is_told_so(tmp_path: Path) -> None:
    async with office(tmp_path) as desk:
        await desk.ask(JANE, NODE_CLIENT, Wanted("jane"), TO_SERVERS)
        doc = await desk.decide("Approved")
        assert issued(doc) is None
        assert conditions(doc)[1:] == [("Failed", "subject organization is not system:nodes")]


async def test_what_is_denied_is_never_signed(tmp_path: Path) -> None:
    async with office(tmp_path) as desk:
        await desk.ask(JANE, CLIENT, Wanted("jane"), TO_SERVERS)
        assert issued(await desk.decide("Denied")) is None


@pytest.mark.parametrize(
    ("decision", "kept_s"), [("", 86_400), ("Approved", 3600), ("Denied", 3600)]
)
async def test_requests_are_tidied_away(tmp_path: Path, decision: str, kept_s: int) -> None:
    async with office(tmp_path) as desk:
        await desk.ask(JANE, CLIENT, Wanted("jane"), TO_SERVERS)
        if decision:
            await desk.decide(decision)
        await desk.clock.advance(kept_s - 2)
        assert desk.request
        await desk.clock.advance(4)
        assert desk.registry.cache.get(kinds.CSR, "", "mine") is None


async def test_tokens_go_when_their_time_is_over(tmp_path: Path) -> None:
    async with office(tmp_path) as desk:
        await desk.client.write(Create(kinds.NAMESPACE, {"metadata": {"name": "kube-system"}}))
        for token, lasts_s in (("aaaaaa", 60.0), ("bbbbbb", 3600.0)):
            secret = tokens.secret_of(f"{token}.0123456789abcdef", "", desk.clock.now() + lasts_s)
            await desk.client.write(Create(kinds.SECRET, secret))
        await desk.clock.advance(61.0)
        left = [
            doc["metadata"]["name"] for doc in desk.registry.cache.all(kinds.SECRET, "kube-system")
        ]
        assert left == ["bootstrap-token-bbbbbb"]
