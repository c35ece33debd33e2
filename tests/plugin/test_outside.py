"""Clients from outside: what they ask is noted, what is ordered to fail fails, they are given time."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from longshore.testing.kube import Kube
from longshore.testing.kube.faults import Fault, refusal


class Client:
    """An HTTP client of the kubeconfig, as simple as they come."""

    def __init__(self, kube: Kube) -> None:
        config = orjson.loads(kube.kubeconfig.read_bytes())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self._where = cluster["server"].removeprefix("https://")
        self._context = ssl.create_default_context(cadata=authority)
        self._headers = {"Authorization": f"Bearer {user['token']}", "User-Agent": "a-test/1"}

    def ask(self, method: str, path: str, body: Any = None, media: str = "application/json") -> int:
        with self._connected() as connection:
            data = None if body is None else orjson.dumps(body)
            connection.request(method, path, data, {**self._headers, "Content-Type": media})
            answer = connection.getresponse()
            answer.read()
            return int(answer.status)

    def watch(self, path: str) -> Iterator[Any]:
        """The events of a watch, as long as it lasts."""
        with self._connected() as connection:
            connection.request("GET", path, headers=self._headers)
            for line in connection.getresponse():
                yield orjson.loads(line)

    def _connected(self) -> Any:
        made = http.client.HTTPSConnection(self._where, context=self._context, timeout=30)
        return contextlib.closing(made)


CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
MERGE = "application/merge-patch+json"


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def test_what_is_asked_is_noted(kube: Kube) -> None:
    client = Client(kube)
    assert client.ask("POST", CONFIG_MAPS, config_map("a")) == 201
    assert client.ask("GET", f"{CONFIG_MAPS}/b?pretty=true") == 404
    made, missed = kube.requests
    assert (made.verb, made.resource, made.namespace, made.name) == (
        "create",
        "configmaps",
        "default",
        "",
    )
    assert orjson.loads(made.body)["metadata"]["name"] == "a"
    assert str(missed) == f"404 GET {CONFIG_MAPS}/b?pretty=true (a-test/1)"
    kube.forget_requests()
    assert kube.requests == []


def test_failures_on_order(kube: Kube) -> None:
    client = Client(kube)
    kube.apply(config_map("a"), config_map("b"))
    kube.fail_next("PATCH configmaps/a", 409, times=2)
    patch = {"data": {"k": "1"}}
    answers = [client.ask("PATCH", f"{CONFIG_MAPS}/{name}", patch, MERGE) for name in "abaa"]
    assert answers == [409, 200, 409, 200]
    kube.fail_next("list *", 500)
    kube.fail_next("GET /version", 418)
    assert client.ask("GET", f"{CONFIG_MAPS}/a") == 200
    assert client.ask("GET", CONFIG_MAPS) == 500
    assert client.ask("GET", CONFIG_MAPS) == 200
    assert client.ask("GET", "/version") == 418
    kube.patch("cm/a", {"data": {"k": "2"}})  # the test's own calls are not held up


@pytest.mark.parametrize(
    ("code", "reason"),
    [(409, "Conflict"), (410, "Expired"), (418, "Unknown"), (503, "ServiceUnavailable")],
)
def test_failures_have_their_reasons(code: int, reason: str) -> None:
    assert orjson.loads(refusal(Fault("* *", code, 1)).body)["reason"] == reason


def test_a_connection_that_breaks(kube: Kube) -> None:
    client = Client(kube)
    kube.fail_next("DELETE configmaps/*", "drop")
    kube.apply(config_map("a"))
    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        client.ask("DELETE", f"{CONFIG_MAPS}/a")
    assert kube.get("cm/a").metadata.name == "a"
    assert client.ask("DELETE", f"{CONFIG_MAPS}/a") == 200
    assert [asked.status for asked in kube.requests] == [0, 200]


@pytest.mark.parametrize(
    ("pattern", "failure", "why"),
    [
        ("PATCH", 409, "is no pattern"),
        ("PATCH pods", 200, "is no failure"),
        ("PATCH pods", "lose", "is no failure"),
    ],
)
def test_orders_that_make_no_sense(kube: Kube, pattern: str, failure: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        kube.fail_next(pattern, failure)


def test_a_restored_cluster_tells_watchers_to_list_again(kube: Kube) -> None:
    kube.apply(config_map("a"))
    snapshot = kube.snapshot()
    heard: list[Any] = []

    def watch() -> None:
        heard.extend(
            Client(kube).watch(f"{CONFIG_MAPS}?watch=true&fieldSelector=metadata.name%3Dnew")
        )

    running = kube.run(watch)
    kube.wait("cm/a")
    while not kube.requests:
        kube.clock.advance(0.01)
    kube.apply(config_map("new"))
    kube.restore(snapshot)
    assert running.join(60)
    assert [event["type"] for event in heard] == ["ADDED", "ERROR"]
    assert heard[-1]["object"]["code"] == 410
    old = heard[0]["object"]["metadata"]["resourceVersion"]
    again = next(Client(kube).watch(f"{CONFIG_MAPS}?watch=true&resourceVersion={old}"))
    assert (again["code"], again["reason"]) == (410, "Expired")


def test_a_slow_client_is_given_the_time_that_the_wait_has(kube: Kube) -> None:
    """Its time is the wall's: a second of the cluster's, skipped, must not be all that it gets."""

    def slow(stop: threading.Event) -> None:
        client = Client(kube)
        client.ask("GET", CONFIG_MAPS)
        stop.wait(0.3)
        client.ask("POST", CONFIG_MAPS, config_map("late"))

    kube.run(slow)
    kube.wait("cm/late", timeout="20s")


def test_what_runs_beside_fails_the_wait_at_once(kube: Kube) -> None:
    kube.run(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        kube.wait("cm/never", timeout="1h")


def test_coroutines_and_functions_run_until_the_end(kube: Kube) -> None:
    ended = threading.Event()

    async def controller(kube: Kube) -> None:
        try:
            await kube.aio.apply(config_map("mine"))
            await asyncio.get_running_loop().create_future()
        finally:
            ended.set()

    running = kube.run(controller)
    kube.wait("cm/mine")
    running.stop()
    assert ended.is_set()


async def test_async_tests_wait_beside_their_own_loop(kube: Kube) -> None:
    turns = 0

    async def tick() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.get_running_loop().run_in_executor(None, lambda: None)

    async with asyncio.TaskGroup() as crew:
        ticking = crew.create_task(tick())
        crew.create_task(kube.aio.apply(config_map("a")))
        await kube.aio.wait("cm/a")
        ticking.cancel()
    assert turns > 1
    with pytest.raises(AttributeError, match="requests is none"):
        _ = kube.aio.requests


def test_a_condition_that_asks_kube_is_told_so(kube: Kube) -> None:
    kube.apply(config_map("a"))
    with pytest.raises(RuntimeError, match="cannot itself ask kube"):
        kube.wait("cm/a", lambda doc: bool(kube.get("cm/a")))


@pytest.mark.skipif(not shutil.which("kubectl"), reason="there is no kubectl")
def test_kubectl_finds_the_cluster_by_itself(kube: Kube) -> None:
    kube.apply(config_map("a"))
    words = ["kubectl", "get", "configmaps", "--output", "name"]
    told = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert told.stdout.splitlines() == ["configmap/a", "configmap/kube-root-ca.crt"], told.stderr
    assert kube.requests[-1].user_agent.startswith("kubectl")


def test_other_waits_go_on_when_one_is_over(kube: Kube) -> None:
    """One that is content must not stop the time for those that still wait."""

    def waits_long() -> None:
        with pytest.raises(kube.Unmet, match="within 7200s"):
            kube.wait("cm/never", timeout="2h")

    async def main() -> None:
        long = asyncio.to_thread(waits_long)
        short = asyncio.to_thread(kube.clock.advance, "1m")
        await asyncio.wait_for(asyncio.gather(long, short), timeout=60)

    asyncio.run(main())
