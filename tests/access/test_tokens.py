"""Bearer tokens that were not meant: made by others with what everybody may know, meant for somebody else,
or shown again after their time. Rule 35 has what tokens are for."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from longshore.base.chance import Chance
from longshore.core.objects.kinds import Doc
from longshore.core.pki.token_keys import TokenKeys
from longshore.core.registry.identity.jws import Signer
from longshore.core.registry.identity.tokens import Tokens
from longshore.doors.kubernetes.door import DoorConfig, KubernetesDoor
from tests.doors.rig import ADMIN, Kube, kube, pod

CORE = "/api/v1/namespaces/default"
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


class Issuer:
    """A door that issues tokens, and its keys, which nobody else should need."""

    def __init__(self, ask: Kube, folder: Path) -> None:
        self.ask = ask
        keys = TokenKeys(folder, ask.clock).read()
        self.signer = Signer(keys[0])
        tokens = Tokens(ask.registry, ask.clock, Chance.seeded("tokens"), keys)
        config = DoorConfig(tokens=tokens)
        ask.door = KubernetesDoor(ask.registry, ask.clock, Chance.seeded("door"), config)

    async def token(self, **spec: Any) -> str:
        answer = await self.ask("POST", f"{CORE}/serviceaccounts/robot/token", {"spec": spec})
        assert answer.status == 201, answer.doc
        return str(answer.doc["status"]["token"])

    async def is_believed(self, token: str) -> bool:
        self.ask.user = None
        answer = await self.ask("POST", WHO, {}, authorization=f"Bearer {token}")
        self.ask.user = ADMIN
        assert answer.status in (201, 401)
        if answer.status == 401:
            # Why is not for those to know who try.
            assert answer.doc["message"] == "Unauthorized"
        return answer.status == 201


@pytest.fixture
async def issuer(tmp_path: Path) -> AsyncIterator[Issuer]:
    async with kube(roles=True) as ask:
        made = Issuer(ask, tmp_path)
        await ask("POST", f"{CORE}/serviceaccounts", {"metadata": {"name": "robot"}})
        yield made


def part(doc: Any) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(doc)).rstrip(b"=").decode()


def claims_of(token: str) -> Doc:
    middle = token.split(".")[1]
    found: Doc = orjson.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    return found


def with_secret(header: Doc, claims: Doc, secret: bytes) -> str:
    said = f"{part(header)}.{part(claims)}"
    signature = hmac.new(secret, said.encode(), hashlib.sha256).digest()
    return f"{said}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "", "nOnE", None, ["none"], 0])
@pytest.mark.parametrize("keeps", [True, False], ids=["signed", "unsigned"])
async def test_the_header_does_not_choose_how_it_is_verified(
    issuer: Issuer, alg: object, keeps: bool
) -> None:
    _, claims, signature = (await issuer.token()).split(".")
    header = part({"alg": alg, "kid": issuer.signer.key_id})
    assert not await issuer.is_believed(f"{header}.{claims}.{signature if keeps else ''}")


async def test_a_public_key_is_no_secret_to_sign_with(issuer: Issuer) -> None:
    token = await issuer.token()
    public = orjson.dumps(issuer.signer.public)
    for secret in (public, issuer.signer.public["x"].encode(), b"", issuer.signer.key_id.encode()):
        for alg in ("HS256", "ES256", "hs256"):
            header = {"alg": alg, "kid": issuer.signer.key_id}
            assert not await issuer.is_believed(with_secret(header, claims_of(token), secret))


async def test_a_token_brings_no_key_of_its_own(issuer: Issuer, tmp_path: Path) -> None:
    """Signed well, by somebody else, whose key or its address the header names."""
    (tmp_path / "other").mkdir()
    other = Signer(TokenKeys(tmp_path / "other", issuer.ask.clock).read()[0])
    token = await issuer.token()
    claims = claims_of(token)
    assert not await issuer.is_believed(other.sign(claims))
    signature = other.sign(claims).rpartition(".")[2]
    brought: tuple[Doc, ...] = (
        {"jwk": other.public}, {"jku": "https://127.0.0.1/keys"}, {"x5u": "https://127.0.0.1/"},
        {"kid": other.key_id}, {"kid": "../../../../dev/null"}, {"kid": "' or 1=1"}, {"kid": None},
        {"crit": ["exp"]}, {"b64": False, "crit": ["b64"]},
    )  # fmt: skip
    for more in brought:
        header = part({"alg": "ES256", "kid": issuer.signer.key_id, **more})
        for signed in (signature, token.rpartition(".")[2]):
            assert not await issuer.is_believed(f"{header}.{token.split('.')[1]}.{signed}")


@pytest.mark.parametrize(
    "change",
    [
        lambda head, claims, sign: f"{head}.{claims}.{sign}.",
        lambda head, claims, sign: f"{head}.{claims}",
        lambda head, claims, sign: f"{head}.{claims}.",
        lambda head, claims, sign: f"{head}..{sign}",
        lambda head, claims, sign: f".{claims}.{sign}",
        lambda head, claims, sign: f"{head}.{claims}.{'A' * len(sign)}",
        lambda head, claims, sign: f"{head}.{claims}.{sign}=",
        lambda head, claims, sign: f"{head}.{claims} .{sign}",
        lambda head, claims, sign: f"{head}.{claims}.{sign[:-1]}{chr(ord(sign[-1]) + 1)}",
        lambda head, claims, sign: f"{head}.{claims}.{sign[:43]}",
        lambda head, claims, sign: f"{head}.{claims[::-1]}.{sign}",
    ],
)
async def test_a_changed_token_is_none(
    issuer: Issuer, change: Callable[[str, str, str], str]
) -> None:
    token = await issuer.token()
    assert await issuer.is_believed(token)
    assert not await issuer.is_believed(change(*token.split(".")))


@pytest.mark.parametrize("audiences", [["vault"], ["*"], [""], ["https://kubernetes.default.svc"]])
async def test_a_token_for_others_is_none_for_the_cluster(
    issuer: Issuer, audiences: list[str]
) -> None:
    token = await issuer.token(audiences=audiences)
    assert not await issuer.is_believed(token)


async def test_a_token_does_not_outlive_its_pod_though_another_has_its_name(issuer: Issuer) -> None:
    ask = issuer.ask
    doc = pod("one")
    doc["spec"]["serviceAccountName"] = "robot"
    await ask("POST", f"{CORE}/pods", doc)
    bound = {"apiVersion": "v1", "kind": "Pod", "name": "one"}
    token = await issuer.token(boundObjectRef=bound)
    assert await issuer.is_believed(token)
    assert (await ask("DELETE", f"{CORE}/pods/one?gracePeriodSeconds=0")).status == 200
    assert not await issuer.is_believed(token)
    assert (await ask("POST", f"{CORE}/pods", doc)).status == 201
    assert not await issuer.is_believed(token)
    assert await issuer.is_believed(await issuer.token(boundObjectRef=bound))


async def test_a_token_does_not_outlive_its_namespace(issuer: Issuer) -> None:
    """What is being deleted asks for nothing after its grace."""
    ask = issuer.ask
    token = await issuer.token()
    held = {"metadata": {"finalizers": ["example.com/hold"]}}
    merge = {"content_type": "application/merge-patch+json"}
    await ask("PATCH", f"{CORE}/serviceaccounts/robot", held, **merge)
    await ask("DELETE", f"{CORE}/serviceaccounts/robot")
    assert await issuer.is_believed(token)
    await ask.clock.advance(61)
    assert not await issuer.is_believed(token)


@pytest.mark.parametrize(
    "where",
    [
        {"target": "?access_token={}"}, {"cookie": "token={}"}, {"x_auth_token": "{}"},
        {"authorization": "Token {}"}, {"authorization": "Bearer{}"}, {"authorization": "Basic {}"},
        {"authorization": "Bearer {} x"}, {"proxy_authorization": "Bearer {}"},
    ],
)  # fmt: skip
async def test_a_token_is_read_in_one_place(issuer: Issuer, where: dict[str, str]) -> None:
    """Elsewhere it would end in logs and histories."""
    token = await issuer.token()
    filled = {name: text.format(token) for name, text in where.items()}
    issuer.ask.user = None
    answer = await issuer.ask("POST", WHO + filled.pop("target", ""), {}, **filled)
    assert answer.status == 401
