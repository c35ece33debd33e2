"""Certificates that lie: of another authority, of no use, or with names that look like two. Who shows one
is nobody, or exactly who its authority says."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from longshore.base.clock import SystemClock
from longshore.core.objects import kinds
from longshore.core.pki import requests
from longshore.core.pki.authority import Authority, certificate_of
from longshore.core.pki.pairs import Pair
from longshore.core.pki.tls import client_context, server_context
from tests.doors.rig import Kube, Raw, echo, kube, serving
from tests.permission.rig import JANE, grant, node, refused, rule

CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
CLIENT = "kubernetes.io/kube-apiserver-client"
KUBELET = "kubernetes.io/kube-apiserver-client-kubelet"
MASTERS = "system:masters"
_CLIENT_USE = ("digital signature", "client auth")
CN, ORG = NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME
Parts = Sequence[Sequence[tuple[x509.ObjectIdentifier, str]]]


def name_of(parts: Parts) -> x509.Name:
    """Of relative names, each of one or several attributes."""
    return x509.Name(
        [
            x509.RelativeDistinguishedName([x509.NameAttribute(*one) for one in each])
            for each in parts
        ]
    )


def request_for(*parts: Sequence[tuple[x509.ObjectIdentifier, str]], key: Any = None) -> bytes:
    key = key or requests.new_key()
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    made = x509.CertificateSigningRequestBuilder().subject_name(name_of(parts))
    return made.sign(key, algorithm).public_bytes(serialization.Encoding.PEM)


# --- what a connection shows ---


class Front:
    """A server's TLS, and its authority."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder, SystemClock())
        self.trusted = self.authority.pair.certificate
        pair = self.authority.server("server", ["127.0.0.1", "localhost"])
        self.tls = server_context(pair, self.trusted)

    def signed(
        self, parts: Parts, usages: Sequence[str] = _CLIENT_USE, life_s: float = 3600
    ) -> Pair:
        key = requests.new_key()
        asked = requests.read(request_for(*parts, key=key))
        return self.kept(requests.pem_of(key), self.authority.sign(asked, usages, life_s))

    def kept(self, key: bytes, certificate: bytes) -> Pair:
        pair = Pair.named(self.folder, "shown")
        pair.write(key, certificate)
        return pair

    async def sees(self, shown: Pair) -> tuple[str | None, set[str]]:
        """Whom the server takes the client for. Raises OSError or EOFError if it is turned away."""
        said: Any = None
        async with serving(echo, tls=self.tls) as (_, port):
            try:
                said = await _asked(port, client_context(shown, self.trusted))
            except (OSError, EOFError) as refusal:
                said = refusal
        if isinstance(said, Exception):
            raise said
        return said["user"], set(said["groups"]) - {"system:authenticated"}


async def _asked(port: int, tls: ssl.SSLContext) -> Any:
    client = await Raw.to(port, tls)
    try:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        return json.loads((await client.reply())[2])
    finally:
        await client.close()


@pytest.fixture
def front(tmp_path: Path) -> Front:
    return Front(tmp_path)


@pytest.mark.parametrize(
    ("parts", "name", "groups"),
    [
        ([[(CN, "/CN=root/O=system:masters")]], "/CN=root/O=system:masters", set()),
        ([[(CN, "jane,O=system:masters")]], "jane,O=system:masters", set()),
        ([[(CN, "jane+O=system:masters")]], "jane+O=system:masters", set()),
        ([[(CN, "jane\nO=system:masters")]], "jane\nO=system:masters", set()),
        ([[(CN, "jane\0system:admin")]], "jane\0system:admin", set()),
        ([[(CN, MASTERS)]], MASTERS, set()),
        ([[(CN, "jane")], [(ORG, "dev,system:masters")]], "jane", {"dev,system:masters"}),
        ([[(CN, "jane")], [(ORG, "system:masters\0")]], "jane", {"system:masters\0"}),
        ([[(CN, "jane")], [(ORG, " system:masters")]], "jane", {" system:masters"}),
        ([[(CN, "jane")], [(ORG, "System:Masters")]], "jane", {"System:Masters"}),
        ([[(CN, "jane")], [(NameOID.ORGANIZATIONAL_UNIT_NAME, MASTERS)]], "jane", set()),
        ([[(CN, "jane"), (ORG, "dev")]], "jane", {"dev"}),
        ([[(CN, "n2")], [(CN, "n1")]], "n1", set()),
    ],
)
async def test_a_name_is_what_it_says_letter_by_letter(
    front: Front, parts: Parts, name: str, groups: set[str]
) -> None:
    assert await front.sees(front.signed(parts)) == (name, groups)


async def _turned_away(front: Front, shown: Pair) -> None:
    with pytest.raises((OSError, EOFError)):
        await front.sees(shown)


async def test_a_certificate_of_another_authority_of_the_same_name(front: Front) -> None:
    (front.folder / "other").mkdir()
    other = Front(front.folder / "other")
    assert (
        certificate_of(other.authority.pair).subject == certificate_of(front.authority.pair).subject
    )
    await _turned_away(front, other.authority.client("eve", "root", [MASTERS]))


async def test_a_certificate_that_signed_itself(front: Front) -> None:
    key = requests.new_key()
    await _turned_away(
        front, _made_by_hand(front, key, key, name_of([[(CN, "root")], [(ORG, MASTERS)]]))
    )


async def test_a_certificate_signed_with_another_certificate_of_ours(front: Front) -> None:
    """A leaf is no authority, though it is of the right one."""
    jane = front.authority.client("jane", "jane", [])
    signer = serialization.load_pem_private_key(jane.key.read_bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    shown = _made_by_hand(front, requests.new_key(), signer, certificate_of(jane).subject)
    chain = shown.certificate.read_bytes() + jane.certificate.read_bytes()
    await _turned_away(front, front.kept(shown.key.read_bytes(), chain))


def _made_by_hand(
    front: Front,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
) -> Pair:
    like = certificate_of(front.authority.client("like", "root", [MASTERS]))
    made = (
        x509.CertificateBuilder()
        .subject_name(like.subject).issuer_name(issuer).public_key(key.public_key())
        .serial_number(1).not_valid_before(like.not_valid_before_utc)
        .not_valid_after(like.not_valid_after_utc)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(signer, hashes.SHA256())
    )  # fmt: skip
    return front.kept(requests.pem_of(key), made.public_bytes(serialization.Encoding.PEM))


async def test_a_certificate_for_servers_makes_no_client(front: Front) -> None:
    """What a node shows to the server does not let whoever steals it ask as the node."""
    parts = [[(ORG, "system:nodes")], [(CN, "system:node:n1")]]
    await _turned_away(front, front.signed(parts, ("digital signature", "server auth")))


async def test_a_certificate_that_has_ended(front: Front) -> None:
    await _turned_away(front, front.signed([[(CN, "jane")]], life_s=-1))


async def test_a_certificate_without_a_name_is_nobody_s(front: Front) -> None:
    name, groups = await front.sees(front.signed([[(ORG, MASTERS)]]))
    assert (name, groups) == (None, set())


# --- what is asked to be signed ---


async def asked_for(ask: Kube, pem: bytes, signer: str = CLIENT, **more: Any) -> Any:
    spec: dict[str, Any] = {
        "request": base64.b64encode(pem).decode(), "usages": ["client auth", "digital signature"],
        "signerName": signer, **more,
    }  # fmt: skip
    doc = {"metadata": {"generateName": "c-"}, "spec": spec}
    return await ask("POST", CSRS, doc)


GOOD = request_for([(ORG, "team")], [(CN, "jane")])
MASTER = request_for([(ORG, MASTERS)], [(CN, "root")])
_LINES = MASTER.splitlines()
HIDDEN = {
    "a second block": GOOD + MASTER,
    "spaces at the ends of lines": MASTER.replace(b"\n", b" \n") + GOOD,
    "no end of the first line": MASTER.replace(b"-----\n", b"-----", 1) + GOOD,
    "all on one line": _LINES[0] + b"".join(_LINES[1:-1]) + _LINES[-1] + b"\n" + GOOD,
    "headers in the block": MASTER.replace(b"REQUEST-----\n", b"REQUEST-----\nA: b\n\n", 1) + GOOD,
    "a block of another kind": GOOD.replace(b"CERTIFICATE REQUEST", b"X") + MASTER,
    "the old label": MASTER.replace(b"CERTIFICATE REQUEST", b"NEW CERTIFICATE REQUEST") + GOOD,
}


@pytest.mark.parametrize("how", HIDDEN)
async def test_what_is_judged_is_what_is_signed(how: str) -> None:
    async with kube(roles=True) as ask:
        answer = await asked_for(ask, HIDDEN[how])
        assert answer.status == 422, answer.doc
        assert "spec.request: Invalid value" in answer.doc["message"]


@pytest.mark.parametrize(
    "parts",
    [
        [[(ORG, MASTERS)]],
        [[(CN, "jane"), (ORG, MASTERS)]],
        [[(ORG, "team")], [(ORG, MASTERS)], [(CN, "jane")]],
        [[(CN, "jane")], [(ORG, "team"), (ORG, MASTERS)]],
    ],
)
async def test_masters_are_not_asked_for_in_any_place(parts: Parts) -> None:
    async with kube(roles=True) as ask:
        refused(
            await asked_for(ask, request_for(*parts)), "with system:masters group is not allowed"
        )


async def test_text_around_a_block_and_other_keys_are_fine() -> None:
    """As openssl req -text writes it."""
    async with kube(roles=True) as ask:
        assert (await asked_for(ask, b"Certificate Request:\n  Data:\n" + GOOD)).status == 201
        other = request_for([(CN, "jane")], key=ed25519.Ed25519PrivateKey.generate())
        assert (await asked_for(ask, other)).status == 201


async def test_who_asks_is_not_for_the_asker_to_say() -> None:
    async with kube(roles=True) as ask:
        await grant(
            ask, "user:jane", rule("create get", "certificatesigningrequests", kinds.CSR.group)
        )
        ask.user = JANE
        lies = {
            "username": "system:node:n1",
            "groups": [MASTERS],
            "uid": "1",
            "extra": {"a": ["b"]},
        }
        spec = (await asked_for(ask, GOOD, CLIENT, **lies)).doc["spec"]
        assert (spec["username"], spec["groups"]) == (JANE.name, list(JANE.groups))
        assert "uid" not in spec and "extra" not in spec


async def test_a_request_is_not_changed_once_it_is_made() -> None:
    """Neither before nor after somebody has looked at it."""
    async with kube(roles=True) as ask:
        rights = rule("create get update patch", "certificatesigningrequests", kinds.CSR.group)
        await grant(ask, "user:jane", rights)
        ask.user = JANE
        made = (await asked_for(ask, GOOD)).doc
        path = f"{CSRS}/{made['metadata']['name']}"
        changed = {**made, "spec": made["spec"] | {"request": base64.b64encode(MASTER).decode()}}
        changed["status"] = {"conditions": [_approved()]}
        answer = await ask("PUT", path, changed)
        if answer.status == 200:
            assert answer.doc["spec"] == made["spec"] and not answer.doc.get("status")
        there = (await ask("GET", path)).doc
        assert there["spec"] == made["spec"] and not there.get("status")
        for part in ("approval", "status"):
            refused(await ask("PUT", f"{path}/{part}", changed), "cannot update resource")


def _approved() -> dict[str, str]:
    return {"type": "Approved", "status": "True", "reason": "r", "message": "m"}


async def test_who_signs_does_not_approve() -> None:
    async with kube(roles=True) as ask:
        made = (await asked_for(ask, GOOD)).doc
        group = kinds.CSR.group
        parts = rule(
            "get update", "certificatesigningrequests certificatesigningrequests/status", group
        )
        await grant(ask, "user:jane", parts, rule("sign", "signers", group, names=CLIENT))
        ask.user = JANE
        made["status"] = {"conditions": [_approved()]}
        answer = await ask("PUT", f"{CSRS}/{made['metadata']['name']}/status", made)
        assert answer.status == 422
        assert 'may not add a condition of type "Approved"' in answer.doc["message"]


@pytest.mark.parametrize(
    "parts",
    [
        [[(ORG, "system:nodes")], [(CN, "system:node:n2")]],
        [[(ORG, "system:nodes")], [(CN, "system:node:n1")], [(CN, "system:node:n2")]],
        [[(ORG, "system:nodes"), (CN, "system:node:n2")]],
        [[(ORG, "system:nodes")], [(CN, "system:node:n1 ")]],
        [[(ORG, "system:nodes")], [(CN, "/CN=system:node:n1")]],
        [[(ORG, "system:nodes")]],
    ],
)
async def test_a_node_asks_for_itself_alone(parts: Parts) -> None:
    async with kube(roles=True) as ask:
        ask.user = node("n1")
        answer = await asked_for(ask, request_for(*parts), KUBELET)
        refused(answer, "can only create a node CSR with CN=system:node:n1")
