"""Rule 35: tokens of service accounts: asked for, bound, believed while what they are bound to is
there, and verifiable by others."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from longshore.base.chance import Chance
from longshore.core.objects import kinds
from longshore.core.objects.errors import Unauthorized
from longshore.core.objects.kinds import Doc
from longshore.core.pki.token_keys import TokenKeys
from longshore.core.registry.identity.jws import Keyring
from longshore.core.registry.identity.tokens import ISSUER, Tokens
from longshore.doors.kit.http import Reply, Takeover
from longshore.doors.kubernetes.door import DoorConfig, KubernetesDoor
from longshore.testing.clock import VirtualClock
from tests.doors.rig import ADMIN, Answer, Kube, kube, pod

CORE = "/api/v1/namespaces/default"
REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
ROBOT = "system:serviceaccount:default:robot"
GROUPS = ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"]


@contextlib.asynccontextmanager
async def cluster(tmp_path: Path) -> AsyncIterator[Kube]:
    """A door that issues tokens, with the service account robot."""
    async with kube(roles=True) as ask:
        keys = TokenKeys(tmp_path, ask.clock).read()
        tokens = Tokens(ask.registry, ask.clock, Chance.seeded("tokens"), keys)
        config = DoorConfig(tokens=tokens, address="127.0.0.1:6443")
        ask.door = KubernetesDoor(ask.registry, ask.clock, Chance.seeded("door"), config)
        await add(ask, "serviceaccounts", "robot")
        yield ask


async def add(ask: Kube, plural: str, name: str) -> Doc:
    answer = await ask("POST", f"{CORE}/{plural}", {"metadata": {"name": name}})
    assert answer.status == 201, answer.doc
    doc: Doc = answer.doc
    return doc


async def request(ask: Kube, name: str = "robot", **spec: Any) -> Answer:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    return await ask("POST", f"{CORE}/serviceaccounts/{name}/token", body)


async def issued(ask: Kube, **spec: Any) -> str:
    answer = await request(ask, **spec)
    assert answer.status == 201, answer.doc
    return str(answer.doc["status"]["token"])


def claims(token: str) -> Doc:
    middle = token.split(".")[1]
    found: Doc = orjson.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    return found


async def as_bearer(ask: Kube, token: str, path: str = WHO) -> Answer:
    ask.user = None
    method = "POST" if path == WHO else "GET"
    answer = await ask(method, path, {}, authorization=f"Bearer {token}")
    ask.user = ADMIN
    return answer


async def test_the_bearer_is_the_account(tmp_path: Path) -> None:
    async with cluster(tmp_path) as ask:
        answer = await as_bearer(ask, await issued(ask))
        assert answer.status == 201
        info = answer.doc["status"]["userInfo"]
        assert (info["username"], info["groups"]) == (ROBOT, GROUPS)
        account = ask.registry.cache.get(kinds.SERVICE_ACCOUNT, "default", "robot")
        assert account is not None and info["uid"] == account["metadata"]["uid"]


async def test_claims(tmp_path: Path) -> None:
    async with cluster(tmp_path) as ask:
        answer = await request(ask, audiences=["vault"], expirationSeconds=1200)
        said = claims(answer.doc["status"]["token"])
        now = int(ask.clock.now())
        assert (said["iss"], said["sub"], said["aud"]) == (ISSUER, ROBOT, ["vault"])
        assert (said["iat"], said["nbf"], said["exp"]) == (now, now, now + 1200)
        assert said["jti"]
        assert said["kubernetes.io"]["namespace"] == "default"
        assert said["kubernetes.io"]["serviceaccount"]["name"] == "robot"
        assert "expirationTimestamp" in answer.doc["status"]


async def test_everything_but_discovery_is_forbidden_to_it(tmp_path: Path) -> None:
    async with cluster(tmp_path) as ask:
        token = await issued(ask)
        assert (await as_bearer(ask, token, "/api")).status == 200
        answer = await as_bearer(ask, token, f"{CORE}/pods")
        assert answer.status == 403
        assert answer.doc["message"] == (
            f'pods is forbidden: User "{ROBOT}" cannot list resource "pods" in API group "" '
            'in the namespace "default"'
        )


@pytest.mark.parametrize("path", ["pods", "secrets"])
async def test_a_bound_token_dies_with_its_object(tmp_path: Path, path: str) -> None:
    async with cluster(tmp_path) as ask:
        wanted = {**pod("one"), "kind": "Pod"} if path == "pods" else {"metadata": {"name": "one"}}
        if path == "pods":
            wanted["spec"]["serviceAccountName"] = "robot"
        made = await ask("POST", f"{CORE}/{path}", wanted)
        assert made.status == 201, made.doc
        ref = {"apiVersion": "v1", "kind": made.doc["kind"], "name": "one"}
        token = await issued(ask, boundObjectRef=ref)
        bound = claims(token)["kubernetes.io"][made.doc["kind"].lower()]
        assert bound == {"name": "one", "uid": made.doc["metadata"]["uid"]}
        assert (await as_bearer(ask, token)).status == 201
        assert (await ask("DELETE", f"{CORE}/{path}/one")).status == 200
        answer = await as_bearer(ask, token)
        assert (answer.status, answer.doc["reason"]) == (401, "Unauthorized")


async def test_a_token_dies_with_its_account_even_if_another_has_its_name(tmp_path: Path) -> None:
    async with cluster(tmp_path) as ask:
        token = await issued(ask)
        assert (await as_bearer(ask, token)).status == 201
        await ask("DELETE", f"{CORE}/serviceaccounts/robot")
        assert (await as_bearer(ask, token)).status == 401
        await add(ask, "serviceaccounts", "robot")
        assert (await as_bearer(ask, token)).status == 401


async def test_a_token_expires(tmp_path: Path) -> None:
    async with cluster(tmp_path) as ask:
        token = await issued(ask, expirationSeconds=600)
        await ask.clock.advance(599)
        assert (await as_bearer(ask, token)).status == 201
        await ask.clock.advance(62)
        assert (await as_bearer(ask, token)).status == 401


async def test_forgeries_are_refused(tmp_path: Path) -> None:
    async with cluster(tmp_path) as ask:
        token = await issued(ask)
        head, middle, signature = token.split(".")
        other = base64.urlsafe_b64encode(orjson.dumps({**claims(token), "sub": "admin"})).decode()
        unsigned = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
        (tmp_path / "other").mkdir()
        others = TokenKeys(tmp_path / "other", ask.clock).read()
        foreign = Tokens(ask.registry, ask.clock, Chance.seeded("x"), others).issue(
            ADMIN, "default", "robot", {}
        )["token"]
        forged = (
            f"{head}.{other.rstrip('=')}.{signature}", f"{unsigned}.{middle}.", foreign,
            f"{head}.{middle}.{signature[:-8]}", "x", "a.b.c", "\u00e9.\u00e9.\u00e9", token * 40,
        )  # fmt: skip
        for one in forged:
            assert (await as_bearer(ask, one)).status == 401, one


@pytest.mark.parametrize(
    ("spec", "status", "why"),
    [
        ({"expirationSeconds": 599}, 422, "may not specify a duration less than 10 minutes"),
        ({"expirationSeconds": 1 << 33}, 422, "larger than 2^32 seconds"),
        (
            {"boundObjectRef": {"apiVersion": "v1", "kind": "ConfigMap", "name": "x"}},
            400,
            "cannot bind token to object of type",
        ),
        ({"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "x"}}, 404, "not found"),
    ],
)
async def test_what_cannot_be_asked_for(tmp_path: Path, spec: Doc, status: int, why: str) -> None:
    async with cluster(tmp_path) as ask:
        answer = await request(ask, **spec)
        assert answer.status == status and why in answer.doc["message"]
        assert (await request(ask, "nobody")).status == 404


async def test_a_pod_of_another_account_is_not_bound(tmp_path: Path) -> None:
    async with cluster(tmp_path) as ask:
        await ask("POST", f"{CORE}/pods", pod("one"))
        answer = await request(
            ask, boundObjectRef={"apiVersion": "v1", "kind": "Pod", "name": "one"}
        )
        assert answer.status == 400 and "cannot bind token" in answer.doc["message"]


async def test_token_reviews(tmp_path: Path) -> None:
    async with cluster(tmp_path) as ask:
        token = await issued(ask, audiences=["vault", "api"])
        review = {"spec": {"token": token, "audiences": ["vault", "other"]}}
        status = (await ask("POST", REVIEWS, review)).doc["status"]
        assert status["authenticated"] and status["audiences"] == ["vault"]
        assert (status["user"]["username"], status["user"]["groups"]) == (ROBOT, GROUPS)
        review["spec"]["audiences"] = []
        status = (await ask("POST", REVIEWS, review)).doc["status"]
        assert "authenticated" not in status and "token audiences" in status["error"]
        status = (await ask("POST", REVIEWS, {"spec": {"token": "x"}})).doc["status"]
        assert status == {"user": {}, "error": "invalid bearer token"}
        assert (await ask("POST", REVIEWS, {"spec": {}})).status == 400


async def test_others_can_verify_tokens(tmp_path: Path) -> None:
    async with cluster(tmp_path) as ask:
        config = (await ask("GET", "/.well-known/openid-configuration")).doc
        assert (config["issuer"], config["id_token_signing_alg_values_supported"]) == (
            ISSUER, ["ES256"],
        )  # fmt: skip
        assert config["jwks_uri"] == "https://127.0.0.1:6443/openid/v1/jwks"
        keys = await ask("GET", "/openid/v1/jwks")
        assert keys.content_type == "application/jwk-set+json"
        _verify_as_others_do(await issued(ask), keys.doc["keys"][0])


def _verify_as_others_do(token: str, key: Doc) -> None:
    """With nothing but the published key. Raises InvalidSignature."""
    from cryptography.hazmat.primitives.asymmetric import ec, utils
    from cryptography.hazmat.primitives.hashes import SHA256

    def number(text: str) -> int:
        return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")

    point = ec.EllipticCurvePublicNumbers(number(key["x"]), number(key["y"]), ec.SECP256R1())
    said, _, signature = token.rpartition(".")
    both = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    halves = int.from_bytes(both[:32], "big"), int.from_bytes(both[32:], "big")
    der = utils.encode_dss_signature(*halves)
    point.public_key().verify(der, said.encode(), ec.ECDSA(SHA256()))


async def test_a_door_without_a_key_refuses_by_name() -> None:
    async with kube(roles=True) as ask:
        await add(ask, "serviceaccounts", "robot")
        answer = await request(ask)
        assert answer.status == 405 and "no key to sign tokens" in answer.doc["message"]
        assert (await as_bearer(ask, "x")).status == 401
        assert (await ask("GET", "/openid/v1/jwks")).status == 404


def test_the_key_is_nobody_elses_to_read(tmp_path: Path) -> None:
    keys = TokenKeys(tmp_path, VirtualClock())
    assert keys.read() == TokenKeys(tmp_path, VirtualClock()).read()
    keys.rotate()
    assert [file.stat().st_mode & 0o777 for file in tmp_path.iterdir()] == [0o600, 0o600]


async def test_tokens_stay_good_when_the_key_is_renewed(tmp_path: Path) -> None:
    async with cluster(tmp_path) as ask:
        keys = TokenKeys(tmp_path, ask.clock)
        tokens = Tokens(ask.registry, ask.clock, Chance.seeded("k"), keys.read())
        made = [tokens.issue(ADMIN, "default", "robot", {})["token"]]
        for _ in range(2):
            keys.rotate()
            tokens.keyring = Keyring(keys.read())
            made.append(tokens.issue(ADMIN, "default", "robot", {})["token"])
        again = Tokens(ask.registry, ask.clock, Chance.seeded("l"), keys.read())
        for token in made:
            assert again.authenticate(token)[0].name == "system:serviceaccount:default:robot"
        shown = [key["kid"] for key in orjson.loads(again.keys or b"")["keys"]]
        assert len(set(shown)) == 3
        newest = Tokens(ask.registry, ask.clock, Chance.seeded("m"), keys.read()[:1])
        assert newest.authenticate(made[2])
        with pytest.raises(Unauthorized):
            newest.authenticate(made[1])


def shown(token: str) -> str:
    encoded = base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")
    return f"base64url.bearer.authorization.k8s.io.{encoded}"


async def by_websocket(ask: Kube, protocols: str) -> Takeover | Reply:
    """A watch, as a browser asks for it: without any header of its own."""
    ask.user = None
    reply = await ask.raw(
        "GET", "/api/v1/namespaces/default/configmaps?watch=1", upgrade="websocket",
        connection="Upgrade", sec_websocket_key="dGhlIHNhbXBsZSBub25jZQ==", sec_websocket_version="13",
        sec_websocket_protocol=protocols,
    )  # fmt: skip
    assert isinstance(reply, Takeover | Reply)
    return reply


async def test_a_browser_shows_its_token_as_a_protocol(tmp_path: Path) -> None:
    async with cluster(tmp_path) as ask:
        token = await issued(ask)
        binding = {
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "r"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
            "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": "default"}],
        }  # fmt: skip
        made = await ask(
            "POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings", binding
        )
        assert made.status == 201
        reply = await by_websocket(ask, f"{shown(token)}, v1.watch")
        assert isinstance(reply, Takeover)
        assert shown(token) not in str(reply.headers)


@pytest.mark.parametrize(
    "protocols",
    ["", "v1.watch", "{good}", "{good}, {good}, v1.watch", "{bad}, v1.watch", "{none}, v1.watch"],
)
async def test_other_protocols_prove_nothing(tmp_path: Path, protocols: str) -> None:
    async with cluster(tmp_path) as ask:
        words = {
            "good": shown(await issued(ask)), "bad": shown("x.y.z"),
            "none": "base64url.bearer.authorization.k8s.io.!!!",
        }  # fmt: skip
        reply = await by_websocket(ask, protocols.format(**words))
        assert isinstance(reply, Reply)
        assert reply.status == 401
