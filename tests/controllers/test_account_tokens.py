"""Secrets with tokens of ServiceAccounts: filled, believed while they are there, gone with their account."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from longshore.base.chance import Chance
from longshore.base.users import loop_user
from longshore.core.objects import kinds
from longshore.core.objects.errors import Unauthorized
from longshore.core.objects.kinds import Doc
from longshore.core.pki.authority import Authority
from longshore.core.pki.token_keys import TokenKeys
from longshore.core.registry.identity.bearers import Bearers
from longshore.core.registry.identity.jws import Keyring
from longshore.core.registry.identity.secret_tokens import SecretTokens
from longshore.core.registry.identity.tokens import ISSUER, Tokens
from longshore.core.registry.inprocess import InProcess
from longshore.doors.kubernetes.door import DoorConfig, KubernetesDoor
from longshore.machinery.controllers.accounttokens.run import AccountTokens
from longshore.machinery.loop.loop import Loop
from longshore.testing.clock import settle
from tests.doors.rig import ADMIN, Answer, Kube, kube

CORE = "/api/v1/namespaces/default"
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
ROBOT = "system:serviceaccount:default:robot"
NAME, UID = "kubernetes.io/service-account.name", "kubernetes.io/service-account.uid"


class House:
    """A door that knows tokens, and the controller that fills Secrets with them."""

    def __init__(self, ask: Kube, folder: Path) -> None:
        self.ask = ask
        self.authority = Authority(folder, ask.clock)
        keys = TokenKeys(folder, ask.clock).read()
        accounts = Tokens(ask.registry, ask.clock, Chance.seeded("tokens"), keys)
        self.tokens = SecretTokens(ask.registry.cache, accounts)
        self.bearers = Bearers(accounts, [self.tokens])
        ask.door = KubernetesDoor(
            ask.registry, ask.clock, Chance.seeded("door"), DoorConfig(tokens=self.bearers)
        )
        client = InProcess(ask.registry, loop_user("tokens"))
        cache = ask.registry.cache
        reconciler = AccountTokens(cache, client, self.authority, self.tokens.issue)
        self.loop = Loop(reconciler, cache, ask.clock, Chance.seeded(2))

    async def make(self, plural: str, doc: Doc) -> None:
        answer = await self.ask("POST", f"{CORE}/{plural}", doc)
        assert answer.status == 201, answer.doc
        await settle(30)

    async def secret_of(self, account: str, name: str = "lasting", **notes: str) -> Doc:
        """A Secret for a token, as the controller has left it."""
        metadata = {"name": name, "annotations": {NAME: account, **notes}}
        kind = "kubernetes.io/service-account-token"
        await self.make("secrets", {"metadata": metadata, "type": kind})
        return self.secret(name) or {}

    def secret(self, name: str = "lasting") -> Doc | None:
        return self.ask.registry.cache.get(kinds.SECRET, "default", name)

    async def patch(self, patch: Doc, name: str = "lasting") -> None:
        answer = await self.ask(
            "PATCH", f"{CORE}/secrets/{name}", patch, content_type="application/merge-patch+json"
        )
        assert answer.status == 200, answer.doc
        await settle(30)

    async def as_bearer(self, token: str) -> Answer:
        self.ask.user = None
        answer = await self.ask("POST", WHO, {}, authorization=f"Bearer {token}")
        self.ask.user = ADMIN
        return answer


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[House]:
    async with kube(roles=True) as ask:
        made = House(ask, folder)
        async with asyncio.TaskGroup() as crew:
            task = crew.create_task(made.loop.run())
            await made.make("serviceaccounts", {"metadata": {"name": "robot"}})
            yield made
            task.cancel()


def token_of(secret: Doc) -> str:
    return base64.b64decode(secret["data"]["token"]).decode()


async def test_a_secret_is_filled_and_its_bearer_is_the_account(tmp_path: Path) -> None:
    async with house(tmp_path) as one:
        secret = await one.secret_of("robot")
        account = one.ask.registry.cache.get(kinds.SERVICE_ACCOUNT, "default", "robot")
        assert account is not None
        assert secret["metadata"]["annotations"] == {NAME: "robot", UID: account["metadata"]["uid"]}
        told = {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
        assert told.keys() == {"token", "namespace", "ca.crt"}
        assert (told["namespace"], told["ca.crt"]) == ("default", one.authority.pem)
        answer = await one.as_bearer(told["token"])
        assert answer.status == 201
        info = answer.doc["status"]["userInfo"]
        assert (info["username"], info["uid"]) == (ROBOT, account["metadata"]["uid"])
        assert info["groups"] == [
            "system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated",
        ]  # fmt: skip
        claims = orjson.loads(base64.urlsafe_b64decode(told["token"].split(".")[1] + "=="))
        assert "exp" not in claims, "it does not end"


async def test_what_somebody_takes_out_comes_back(tmp_path: Path) -> None:
    async with house(tmp_path) as one:
        before = await one.secret_of("robot")
        await one.patch({"data": {"token": None, "ca.crt": "bm9uZQ=="}})
        after = one.secret()
        assert after is not None
        assert after["data"].keys() == before["data"].keys()
        assert after["data"]["ca.crt"] == before["data"]["ca.crt"]
        assert (await one.as_bearer(token_of(after))).status == 201


@pytest.mark.parametrize("wrong", ["nobody", "another uid"])
async def test_a_secret_without_its_account_is_deleted(tmp_path: Path, wrong: str) -> None:
    async with house(tmp_path) as one:
        if wrong == "nobody":
            await one.secret_of("nobody")
        else:
            await one.secret_of("robot", **{UID: "7"})
        assert one.secret() is None


async def test_secrets_go_with_their_account_and_others_stay(tmp_path: Path) -> None:
    async with house(tmp_path) as one:
        token = token_of(await one.secret_of("robot"))
        await one.make("secrets", {"metadata": {"name": "other", "annotations": {NAME: "robot"}}})
        assert (await one.ask("DELETE", f"{CORE}/serviceaccounts/robot")).status == 200
        await settle(30)
        assert one.secret() is None
        assert one.secret("other") is not None, "it is of another type"
        assert (await one.as_bearer(token)).status == 401
        await one.make("serviceaccounts", {"metadata": {"name": "robot"}})
        assert (await one.as_bearer(token)).status == 401, "another account of the same name"


async def refusal(one: House, token: str, *audiences: str) -> str:
    with pytest.raises(Unauthorized) as refused:
        one.bearers.authenticate(token, audiences)
    assert audiences or (await one.as_bearer(token)).status == 401
    return str(refused.value)


async def test_a_token_is_as_good_as_its_secret(tmp_path: Path) -> None:
    async with house(tmp_path) as one:
        token = token_of(await one.secret_of("robot"))
        assert one.bearers.authenticate(token, [ISSUER, "vault"])[1] == [ISSUER]
        assert "is invalid for the target audiences" in await refusal(one, token, "vault")
        label = "kubernetes.io/legacy-token-invalid-since"
        await one.patch({"metadata": {"labels": {label: "2026-01-01"}}})
        assert "has been marked invalid" in await refusal(one, token)
        await one.patch({"metadata": {"labels": None}})
        assert (await one.as_bearer(token)).status == 201
        await one.patch({"data": {"token": base64.b64encode(b"another").decode()}})
        assert await refusal(one, token) == "service account token does not match server's copy"
        assert (await one.ask("DELETE", f"{CORE}/secrets/lasting")).status == 200
        assert await refusal(one, token) == "service account token has been invalidated"


async def test_what_others_sign_is_not_believed(tmp_path: Path) -> None:
    async with house(tmp_path) as one:
        secret = await one.secret_of("robot")
        account = one.ask.registry.cache.get(kinds.SERVICE_ACCOUNT, "default", "robot")
        assert account is not None
        (tmp_path / "theirs").mkdir()
        keys = TokenKeys(tmp_path / "theirs", one.ask.clock).read()
        strangers: Any = Tokens(one.ask.registry, one.ask.clock, Chance.seeded("x"), keys)
        assert isinstance(strangers.keyring, Keyring)
        forged = SecretTokens(one.ask.registry.cache, strangers).issue(account, secret)
        assert await refusal(one, forged) == "invalid bearer token"
