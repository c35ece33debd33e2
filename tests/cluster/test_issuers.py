"""Tokens of an outside issuer, with a small issuer of our own on loopback: who is believed, and
every forgery that is tried."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from longshore.base.clock import SystemClock
from longshore.base.users import User
from longshore.cluster.config import ClusterError
from longshore.cluster.settings.issuers import Keys, Source, read
from longshore.core.objects.errors import Unauthorized
from longshore.core.pki.authority import Authority
from longshore.core.pki.tls import server_context
from longshore.core.registry.identity.outside_tokens import Claim, Issuer
from longshore.doors.kit.http import Reply, Request
from longshore.testing.clock import VirtualClock

from ..doors.rig import serving

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
STRANGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Provider:
    """An issuer, its keys, and a server that learns them."""

    def __init__(self, url: str, pki: Authority) -> None:
        self.url = url
        self.clock = VirtualClock()
        self.shown: list[dict[str, Any]] = [
            RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True) | {"kid": "r", "alg": "RS256"},
            ECAlgorithm.to_jwk(EC.public_key(), as_dict=True) | {"kid": "e", "alg": "ES256"},
            {"kty": "oct", "kid": "o", "k": base64.urlsafe_b64encode(b"x" * 32).decode()},
        ]
        self.says = url
        issuer = Issuer(
            url,
            ("kubernetes", "other"),
            Claim("sub", "oidc:"),
            Claim("groups", "oidc:"),
            "uid",
            {"hd": "org"},
        )
        self.keys = Keys(Source(issuer, pki.pem), self.clock)

    async def handle(self, request: Request) -> Reply:
        if request.path == "/tenant/.well-known/openid-configuration":
            return Reply(200, orjson.dumps({"issuer": self.says, "jwks_uri": f"{self.url}/keys"}))
        if request.path == "/tenant/keys":
            return Reply(200, orjson.dumps({"keys": self.shown}))
        return Reply(404)

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = self.clock.now()
        claims = {
            "iss": self.url, "aud": "kubernetes", "sub": "jane", "groups": ["dev", "ops"], "uid": "7",
            "hd": "org", "exp": now + 60, "iat": now,
        }  # fmt: skip
        return {key: value for key, value in (claims | changes).items() if value is not None}

    def token(self, key: Any = RSA, kid: str = "r", alg: str = "RS256", **changes: Any) -> str:
        return jwt.encode(self.claims(**changes), key, algorithm=alg, headers={"kid": kid})

    def bearer(self, token: str) -> User:
        return self.keys.tokens.authenticate(token)[0]


@asynccontextmanager
async def provider(directory: Path) -> AsyncIterator[Provider]:
    pki = Authority(directory, SystemClock())
    context = server_context(pki.server("server", ["127.0.0.1"]), pki.pair.certificate)
    made: list[Provider] = []

    async def handle(request: Request) -> Reply:
        return await made[0].handle(request)

    async with serving(handle, tls=context) as (_, port):
        made.append(Provider(f"https://127.0.0.1:{port}/tenant", pki))
        yield made[0]


@pytest.mark.parametrize(("key", "kid", "alg"), [(RSA, "r", "RS256"), (EC, "e", "ES256")])
async def test_the_bearer(tmp_path: Path, key: Any, kid: str, alg: str) -> None:
    async with provider(tmp_path) as issuer:
        assert await issuer.keys.refresh()
        user = issuer.bearer(issuer.token(key, kid, alg))
        assert user == User("oidc:jane", ("oidc:dev", "oidc:ops", "system:authenticated"), "7")


@pytest.mark.parametrize(
    "changes",
    [
        {"groups": None}, {"groups": "dev"}, {"aud": ["x", "other"]}, {"nbf": 1_767_225_600 + 299},
    ],
    ids=str,
)  # fmt: skip
async def test_what_may_differ(tmp_path: Path, changes: dict[str, Any]) -> None:
    async with provider(tmp_path) as issuer:
        await issuer.keys.refresh()
        assert issuer.bearer(issuer.token(**changes)).name == "oidc:jane"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"key": STRANGER}, "Signature verification failed"),
        ({"kid": "unknown"}, "a key that its issuer does not show"),
        ({"kid": "o", "key": "x" * 32, "alg": "HS256"}, "a key that its issuer does not show"),
        ({"kid": "r", "key": EC, "alg": "ES256"}, "algorithm is not its key's"),
        ({"kid": "r", "alg": "RS512"}, "algorithm is not its key's"),
        ({"exp": 1_767_225_600}, "token is expired"),
        ({"exp": None}, '"exp" claim'),
        ({"nbf": 1_767_225_600 + 301}, "token is not valid yet"),
        ({"aud": "elsewhere"}, "Audience"),
        ({"aud": None}, "aud"),
        ({"hd": "another"}, "required claim hd"),
        ({"hd": None}, "required claim hd"),
        ({"sub": None}, "claim sub is missing"),
        ({"sub": ""}, "claim sub is missing"),
        ({"groups": [1]}, "claim groups is no text and no list of texts"),
        ({"uid": None}, "claim uid is missing"),
    ],
    ids=str,
)
async def test_what_is_not_believed(tmp_path: Path, changes: dict[str, Any], why: str) -> None:
    async with provider(tmp_path) as issuer:
        await issuer.keys.refresh()
        with pytest.raises(Unauthorized, match=why):
            issuer.bearer(issuer.token(**changes))


async def test_an_issuer_s_public_key_is_no_secret_to_sign_with(tmp_path: Path) -> None:
    """The oldest forgery: HS256 with the public key, which everybody has."""
    async with provider(tmp_path) as issuer:
        await issuer.keys.refresh()
        pem = RSA.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        header = base64.urlsafe_b64encode(orjson.dumps({"alg": "HS256", "kid": "r"})).rstrip(b"=")
        body = base64.urlsafe_b64encode(orjson.dumps(issuer.claims())).rstrip(b"=")

        signature = base64.urlsafe_b64encode(
            hmac.new(pem, header + b"." + body, hashlib.sha256).digest()
        ).rstrip(b"=")
        with pytest.raises(Unauthorized, match="algorithm is not its key's"):
            issuer.bearer(b".".join((header, body, signature)).decode())


@pytest.mark.parametrize("alg", ["none", "None", "nOnE"])
async def test_unsigned_is_not_believed(tmp_path: Path, alg: str) -> None:
    async with provider(tmp_path) as issuer:
        await issuer.keys.refresh()
        parts = [{"alg": alg, "kid": "r"}, issuer.claims()]
        told = [
            base64.urlsafe_b64encode(orjson.dumps(part)).rstrip(b"=").decode() for part in parts
        ]
        with pytest.raises(Unauthorized):
            issuer.bearer(".".join((*told, "")))


@pytest.mark.parametrize("token", ["", "a", "a.b.c", "..", "x" * 20_000, "abcdef.0123456789abcdef"])
async def test_what_is_not_its_own_is_left_to_others(tmp_path: Path, token: str) -> None:
    async with provider(tmp_path) as issuer:
        await issuer.keys.refresh()
        with pytest.raises(Unauthorized) as refused:
            issuer.bearer(token)
        assert str(refused.value) == ""
        with pytest.raises(Unauthorized) as refused:
            issuer.bearer(issuer.token(iss="https://elsewhere"))
        assert str(refused.value) == ""


async def test_nobody_from_outside_is_the_cluster_s_own(tmp_path: Path) -> None:
    async with provider(tmp_path) as issuer:
        bare = Issuer(issuer.url, ("kubernetes",), Claim("sub"), Claim("groups"))
        issuer.keys.tokens.issuer = bare
        await issuer.keys.refresh()
        assert issuer.bearer(issuer.token()).name == "jane"
        for changes in (
            {"sub": "system:admin"}, {"groups": ["system:masters"]},
            {"sub": "longshore:admin"}, {"groups": ["longshore:cluster-admins"]},
        ):  # fmt: skip
            with pytest.raises(Unauthorized, match="a name of the cluster's own"):
                issuer.bearer(issuer.token(**changes))


async def test_new_keys_are_learnt_and_old_ones_forgotten(tmp_path: Path) -> None:
    async with provider(tmp_path) as issuer:
        await issuer.keys.refresh()
        old = issuer.token()
        issuer.shown = issuer.shown[1:]
        assert await issuer.keys.refresh()
        with pytest.raises(Unauthorized, match="does not show"):
            issuer.bearer(old)
        assert issuer.bearer(issuer.token(EC, "e", "ES256"))


async def test_what_another_says_of_it_is_not_taken_over(tmp_path: Path) -> None:
    async with provider(tmp_path) as issuer:
        issuer.says = "https://elsewhere"
        assert not await issuer.keys.refresh()
        with pytest.raises(Unauthorized, match="does not show"):
            issuer.bearer(issuer.token())


HEAD = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n"
GOOD = """jwt:
- issuer: {url: "https://issuer.example", audiences: [a, b]}
  claimValidationRules: [{claim: hd, requiredValue: org}]
  claimMappings:
    username: {claim: email, prefix: ""}
    groups: {claim: roles, prefix: "oidc:"}
    uid: {claim: sub}
"""


def test_the_file_of_upstream_s_form(tmp_path: Path) -> None:
    file = tmp_path / "auth.yaml"
    file.write_text(HEAD + GOOD)
    (source,) = read(file)
    assert source.issuer == Issuer(
        "https://issuer.example",
        ("a", "b"),
        Claim("email"),
        Claim("roles", "oidc:"),
        "sub",
        {"hd": "org"},
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "expected"),
        ("kind: Pod", "expected an AuthenticationConfiguration"),
        (HEAD + GOOD.replace("https", "http"), "URL scheme must be https"),
        (HEAD + GOOD.replace("[a, b]", "[]"), "audiences: Required value"),
        (HEAD + GOOD.replace('claim: email, prefix: ""', "claim: email"), "prefix: Required value"),
        (HEAD + GOOD.replace("claim: email", "expression: claims.email"), "CEL is not served yet"),
        (HEAD + "anonymous: {enabled: true}", "anonymous"),
    ],
)
def test_a_file_that_is_refused_says_why(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "auth.yaml"
    file.write_text(text)
    with pytest.raises(ClusterError, match=why):
        read(file)
