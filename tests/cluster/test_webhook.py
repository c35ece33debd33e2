"""A webhook that judges, with a small one of our own on loopback: what it is sent, what of it is
believed, and where it is according to kubeconfig files."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from longshore.base.clock import SystemClock
from longshore.cluster.settings.webhook import Webhook, place_of
from longshore.core.pki.authority import Authority
from longshore.core.pki.tls import server_context
from longshore.core.registry.permission.outside import Outside, Terms
from longshore.core.registry.permission.union import NODE, RBAC
from longshore.core.registry.questions import AskError
from longshore.core.registry.registry import RegistryConfig
from longshore.doors.kit.http import Reply, Request
from longshore.testing.clock import VirtualClock

from ..doors.rig import kube, serving
from ..permission.test_outside import JANE, MAPS

SPEC = {"resourceAttributes": {"verb": "get", "resource": "pods"}, "user": "jane"}
SECRET = "a-key-that-nobody-may-see"


def review(**status: Any) -> bytes:
    head = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview"}
    return orjson.dumps({**head, "status": status})


class Judge:
    """A webhook at /judge, the files of its client, and all that it was sent."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.pki = Authority(directory, SystemClock())
        self.pair = self.pki.client("asker", "the-server", [])
        self.port = 0
        self.reply = Reply(200, review(allowed=True))
        self.heard: list[Request] = []
        self.hangs = False
        self.answer: Callable[[Request], Reply] = lambda _: self.reply

    async def handle(self, request: Request) -> Reply:
        self.heard.append(request)
        if self.hangs:
            await asyncio.Event().wait()
        return self.answer(request)

    @property
    def cluster(self) -> dict[str, Any]:
        authority = base64.b64encode(self.pki.pem.encode()).decode()
        url = f"https://127.0.0.1:{self.port}/judge?by=book"
        return {"server": url, "certificate-authority-data": authority}

    @property
    def user(self) -> dict[str, Any]:
        return {
            "client-certificate": str(self.pair.certificate), "client-key": str(self.pair.key),
        }  # fmt: skip

    def kubeconfig(self, cluster: Any = None, user: Any = None) -> Path:
        file = self.directory / "webhook.yaml"
        entries = {
            "clusters": [{"name": "judge", "cluster": cluster or self.cluster}],
            "users": [{"name": "server", "user": self.user if user is None else user}],
            "contexts": [{"name": "ask", "context": {"cluster": "judge", "user": "server"}}],
        }
        head = {"apiVersion": "v1", "kind": "Config", "current-context": "ask"}
        file.write_text(yaml.safe_dump(head | entries))
        return file

    def webhook(self, timeout_s: float = 10.0, **given: Any) -> Webhook:
        return Webhook(place_of(self.kubeconfig(**given)), timeout_s)


@asynccontextmanager
async def judging(directory: Path) -> AsyncIterator[Judge]:
    judge = Judge(directory)
    pair = judge.pki.server("server", ["127.0.0.1"])
    context = server_context(pair, judge.pki.pair.certificate)
    async with serving(judge.handle, tls=context) as (_, judge.port):
        yield judge


async def test_what_it_is_sent(tmp_path: Path) -> None:
    async with judging(tmp_path) as judge:
        ask = judge.webhook()
        assert await ask(SPEC) == {"allowed": True}
        ask.close()
        (request,) = judge.heard
        assert (request.method, request.target) == ("POST", "/judge?by=book")
        assert orjson.loads(request.body) == {
            "kind": "SubjectAccessReview", "apiVersion": "authorization.k8s.io/v1",
            "metadata": {}, "spec": SPEC,
        }  # fmt: skip
        assert request.user is not None
        assert request.user.name == "the-server"
        assert "authorization" not in request.headers


@pytest.mark.parametrize("in_file", [True, False])
async def test_a_token_proves_who_asks(tmp_path: Path, in_file: bool) -> None:
    (tmp_path / "token").write_text("abc\n")
    async with judging(tmp_path) as judge:
        ask = judge.webhook(user={"tokenFile": "token"} if in_file else {"token": "abc"})
        await ask(SPEC)
        ask.close()
        assert judge.heard[0].headers["authorization"] == "Bearer abc"
        assert judge.heard[0].user is None


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (Reply(302, b"", headers={"Location": "/elsewhere"}), "answered 302"),
        (Reply(307, review(allowed=True), headers={"Location": "/elsewhere"}), "answered 307"),
        (Reply(500, review(allowed=True)), "answered 500"),
        (Reply(200, b"yes"), "did not answer in JSON"),
        (Reply(200, b"[]"), "did not answer with a SubjectAccessReview"),
        (Reply(200, orjson.dumps({"status": {"allowed": True}})), "did not answer with a"),
        (Reply(200, review(allowed=True).replace(b"/v1", b"/v1beta1")), "did not answer with a"),
        (Reply(200, review().replace(b"{}", b"7")), "has no status"),
        (Reply(200, b" " * 1_100_000), "more than 1048576 bytes"),
    ],
)
async def test_what_is_no_answer(tmp_path: Path, reply: Reply, why: str) -> None:
    async with judging(tmp_path) as judge:
        judge.reply = reply
        ask = judge.webhook()
        with pytest.raises(AskError, match=why):
            await ask(SPEC)
        ask.close()
        assert [request.path for request in judge.heard] == ["/judge"]


async def test_it_is_not_waited_for_longer_than_its_time(tmp_path: Path) -> None:
    async with judging(tmp_path) as judge:
        judge.hangs = True
        ask = judge.webhook(timeout_s=0.2)
        with pytest.raises(AskError, match=r"no answer within 0\.2 s"):
            await ask(SPEC)
        ask.close()


async def test_a_stranger_is_not_asked(tmp_path: Path) -> None:
    (tmp_path / "stranger").mkdir()
    stranger = Authority(tmp_path / "stranger", SystemClock())
    async with judging(tmp_path) as judge:
        data = base64.b64encode(stranger.pem.encode()).decode()
        ask = judge.webhook(cluster=judge.cluster | {"certificate-authority-data": data})
        with pytest.raises(AskError, match="certificate"):
            await ask(SPEC)
        ask.close()
        assert judge.heard == []


async def test_who_is_not_there_gave_no_answer(tmp_path: Path) -> None:
    async with judging(tmp_path) as judge:
        ask = judge.webhook()
        await ask(SPEC)
    with pytest.raises(AskError, match="no server can be reached"):
        await ask(SPEC)
    ask.close()


async def test_the_door_asks_it(tmp_path: Path) -> None:
    """All together: a request that no role allows, judged over TLS."""
    async with judging(tmp_path) as judge:
        ask = judge.webhook()
        stage = Outside(Terms("judge"), ask, VirtualClock())
        async with kube(registry_config=RegistryConfig(authorizers=[NODE, RBAC, stage])) as door:
            door.user = JANE
            assert (await door("GET", MAPS)).status == 200
            judge.reply = Reply(200, review(allowed=False, denied=True, reason="no more"))
            answer = await door("DELETE", f"{MAPS}/a")
            assert (answer.status, answer.doc["message"][-9:]) == (403, ": no more")
            assert (await door("GET", MAPS)).status == 200
            assert len(judge.heard) == 2
        ask.close()


@pytest.mark.parametrize(
    ("cluster", "user", "why"),
    [
        ({"server": "http://127.0.0.1/"}, {}, "the scheme https"),
        ({"server": "https:///judge"}, {}, "the scheme https"),
        ({"insecure-skip-tls-verify": True}, {}, "cluster.insecure-skip-tls-verify: not served"),
        ({"proxy-url": "http://127.0.0.1"}, {}, "cluster.proxy-url: not served"),
        ({"certificate-authority-data": SECRET}, {}, "must be base64"),
        ({"certificate-authority-data": "eA=="}, {}, "no PEM"),
        ({}, {"username": "me", "password": SECRET}, "user.password: not served"),
        ({}, {"exec": {"command": "sh"}}, "user.exec: not served"),
        ({}, {"client-key": "/nowhere"}, "client-key: error loading file: No such file"),
        ({}, {"client-key-data": "eA=="}, "no PEM that fits together"),
        ({}, {"token": f"{SECRET}\r\nX: y"}, "token: Invalid value: must be printable ASCII"),
    ],
)
def test_kubeconfigs_that_are_not_served(
    tmp_path: Path, cluster: dict[str, Any], user: dict[str, Any], why: str
) -> None:
    judge = Judge(tmp_path)
    file = judge.kubeconfig(judge.cluster | cluster, user)
    with pytest.raises(ValueError, match=why) as refused:
        place_of(file)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"token: '{SECRET}", "no YAML"), ("[]", "no kubeconfig"),
        ("kind: Config\nclusters: 7", "no current cluster"),
        ("kind: Config\ncurrent-context: none", "no current cluster"),
    ],
)  # fmt: skip
def test_files_that_are_no_kubeconfigs(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "file"
    file.write_text(text)
    with pytest.raises(ValueError, match=why) as refused:
        place_of(file)
    assert SECRET not in str(refused.value)


def test_a_webhook_is_believed_by_certificate_only(tmp_path: Path) -> None:
    tls = place_of(Judge(tmp_path).kubeconfig()).tls
    assert tls.check_hostname
    assert tls.verify_mode is ssl.CERT_REQUIRED
