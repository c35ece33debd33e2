"""Probes: thresholds by value, and real requests on the loopback interface."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.base.version import KUBERNETES_VERSION
from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.probes.handlers import RealChecker, Target
from longshore.machinery.kubelet.probes.outcome import Outcome
from longshore.machinery.kubelet.probes.plan import Probe, Tally, health, probes_of
from longshore.machinery.network.errors import unreached
from longshore.machinery.runtime.protocol import RuntimeFailure

from .docs import container

HERE, RELEASE = "127.0.0.1", KUBERNETES_VERSION.removeprefix("v").removesuffix(".0")


@given(st.lists(st.booleans(), max_size=30), st.integers(1, 4), st.integers(1, 4))
def test_only_a_full_row_of_results_changes_a_verdict(
    results: list[bool], successes: int, failures: int
) -> None:
    probe = Probe("readiness", {}, success_threshold=successes, failure_threshold=failures)
    tally = Tally()
    for number, good in enumerate(results, 1):
        before, tally = tally.passed, tally.after(probe, good)
        needed = successes if good else failures
        full = number >= needed and results[number - needed : number] == [good] * needed
        assert tally.passed == (good if full else before)


def test_health_follows_the_probes() -> None:
    probes = probes_of(container(startupProbe={"a": 1}, livenessProbe={"a": 1}))
    assert probes["liveness"].period_s == 10
    assert not health(probes, {}, "c").started
    assert health(probes, {"startup": Tally(True)}, "c").ready
    failed = health(probes, {"startup": Tally(True), "liveness": Tally(False)}, "c")
    assert failed.failed == "Container c failed liveness probe, will be restarted"
    assert failed.grace_s is None


def test_the_failed_probe_brings_its_own_grace_period() -> None:
    probes = probes_of(container(
        startupProbe={"a": 1, "terminationGracePeriodSeconds": 3},
        livenessProbe={"a": 1, "terminationGracePeriodSeconds": 4},
    ))  # fmt: skip
    assert health(probes, {"startup": Tally(False)}, "c").grace_s == 3
    passed = Tally(True)
    assert health(probes, {"startup": passed, "liveness": Tally(False)}, "c").grace_s == 4
    assert health(probes, {"startup": passed, "liveness": passed}, "c").grace_s is None


@pytest.fixture
async def server() -> AsyncIterator[tuple[int, list[bytes]]]:
    """Answers /good with 200, /moved with 302, /bad with 500, /slow with nothing, /to?WHERE with a
    redirect, /loop with one to itself."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.read(4096)
        asked.append(head)
        codes = {b"/good": b"200", b"/moved": b"302", b"/bad": b"500"}
        words = head.split(b" ")
        if head.startswith(b"\x16\x03"):  # TLS, of which a server of plain HTTP makes nothing
            writer.write(b"HTTP/1.0 400 Bad Request\r\n\r\n")
        elif len(words) > 1 and words[1] in codes:
            writer.write(b"HTTP/1.1 " + codes[words[1]] + b" X\r\n\r\n")
        elif len(words) > 1 and words[1].startswith((b"/to?", b"/loop")):
            there = words[1].removeprefix(b"/to?")
            writer.write(
                b"HTTP/1.1 307 X\r\nLocation: " + there + b"\r\nContent-Length: 5\r\n\r\nThere"
            )
        elif len(words) > 1 and words[1] == b"/slow":
            await reader.read()
        writer.close()

    listening = await asyncio.start_server(serve, HERE, 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1], asked


async def check(handler: Doc, **more: object) -> Outcome:
    main = container(ports=[{"name": "web", "containerPort": more.pop("port", 1)}])
    return await RealChecker(None).check(handler, Target(main, "id", HERE), 0.15)


async def carry_out(handler: Doc) -> Outcome:
    return await RealChecker(None).carry_out(handler, Target(container(), "id", HERE), 5)


async def test_http_probes_ask_and_judge(server: tuple[int, list[bytes]]) -> None:
    port, asked = server
    headers = [{"name": "X-Who", "value": "probe"}]
    good = {"httpGet": {"path": "/good", "port": "web", "httpHeaders": headers}}
    assert await check(good, port=port) == Outcome(True)
    assert asked[0].decode().splitlines() == [
        "GET /good HTTP/1.1", f"Host: {HERE}:{port}", f"User-Agent: kube-probe/{RELEASE}",
        "X-Who: probe", "Accept: */*", "Connection: close", "",
    ]  # fmt: skip
    assert (await check({"httpGet": {"path": "/moved", "port": port}})).good
    bad = await check({"httpGet": {"path": "/bad", "port": port}})
    assert bad == Outcome(False, "HTTP probe failed with statuscode: 500")
    slow = await check({"httpGet": {"path": "/slow", "port": port}})
    assert slow == Outcome(
        False,
        f'Get "http://{HERE}:{port}/slow": context deadline exceeded '
        "(Client.Timeout exceeded while awaiting headers)",
    )
    empty = await check({"httpGet": {"path": "none", "port": port}})
    assert empty == Outcome(False, f'Get "http://{HERE}:{port}/none": EOF')


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"Host": "shop.example", "user-agent": "me"}, ["Host: shop.example", "User-Agent: me"]),
        ({"accept": "", "x-a": "1"}, [f"User-Agent: kube-lifecycle/{RELEASE}", "X-A: 1"]),
    ],
)
async def test_a_hook_says_who_asks_unless_its_headers_do(
    server: tuple[int, list[bytes]], given: dict[str, str], sent: list[str]
) -> None:
    port, asked = server
    headers = [{"name": name, "value": value} for name, value in given.items()]
    handler = {"httpGet": {"path": "/bad", "port": port, "httpHeaders": headers}}
    assert await carry_out(handler) == Outcome(True), "whatever the answer is"
    lines = asked[0].decode().splitlines()
    assert set(sent) <= set(lines)
    assert ("Accept: */*" in lines) == ("accept" not in given)


async def test_redirects_are_followed_on_their_own_host(server: tuple[int, list[bytes]]) -> None:
    port, asked = server

    async def redirected(there: str) -> Outcome:
        return await check({"httpGet": {"path": f"/to?{there}", "port": port}})

    assert await redirected("/good") == Outcome(True)
    assert await redirected("/bad") == Outcome(False, "HTTP probe failed with statuscode: 500")
    assert await redirected(f"http://{HERE}:{port}/to?/good") == Outcome(True)
    asked.clear()
    elsewhere = await redirected("http://elsewhere.invalid/bad")
    assert elsewhere == Outcome(True, warning="Probe terminated redirects, Response body: There")
    assert len(asked) == 1
    around = await check({"httpGet": {"path": "/to?/loop", "port": port}})
    assert around == Outcome(False, f'Get "http://{HERE}:{port}/loop": stopped after 10 redirects')


async def test_a_hook_falls_back_where_there_is_no_tls(server: tuple[int, list[bytes]]) -> None:
    port, asked = server
    secret = [{"name": "authorization", "value": "Basic eA=="}]
    get = {"path": "/good", "port": port, "scheme": "HTTPS", "httpHeaders": secret}
    target = Target(container(), "id", HERE)
    probed = await RealChecker(None).check({"httpGet": get}, target, 5)
    why = "http: server gave HTTP response to HTTPS client"
    assert probed == Outcome(False, f'Get "https://{HERE}:{port}/good": {why}')
    called = await carry_out({"httpGet": get})
    where = f"request to HTTPS lifecycle hook {HERE}:{port}"
    assert called == Outcome(True, warning=f"{where} got HTTP response, retry with HTTP succeeded")
    assert asked[-1].startswith(b"GET /good HTTP/1.1\r\n")
    assert b"Authorization" not in asked[-1]


async def test_tcp_probes_only_connect(server: tuple[int, list[bytes]]) -> None:
    port, _ = server
    assert (await check({"tcpSocket": {"port": port}})).good
    nobody = f"dial tcp {HERE}:1: connect: connection refused"
    assert await check({"tcpSocket": {"port": 1}}) == Outcome(False, nobody)
    asked = await check({"httpGet": {"port": 1}})
    assert asked == Outcome(False, f'Get "http://{HERE}:1/": {nobody}')
    assert "couldn't find port: nosuch" in (await check({"tcpSocket": {"port": "nosuch"}})).message


def test_a_name_that_nobody_has_is_said_to_be_that() -> None:
    unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    assert unreached(unknown, "db.local", 80) == "dial tcp: lookup db.local: no such host"


async def test_a_header_cannot_smuggle_another_request(server: tuple[int, list[bytes]]) -> None:
    port, asked = server
    headers = [{"name": "A", "value": "b\r\n\r\nDELETE / HTTP/1.1"}]
    outcome = await check({"httpGet": {"path": "/good", "port": port, "httpHeaders": headers}})
    assert "line break" in outcome.message
    assert not any(asked)


class Health(grpc.GenericRpcHandler):
    """A server of the health protocol: "" and "up" are well, "down" is not, others are unknown."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        if handler_call_details.method == "/grpc.health.v1.Health/Check":
            return grpc.unary_unary_rpc_method_handler(self.check)
        return None

    async def check(self, request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        name = request[2:].decode()
        if name not in ("", "up", "down"):
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return b"\x08\x02" if name == "down" else b"\x08\x01"


@pytest.mark.parametrize(
    ("service", "good", "said"),
    [
        ("", True, "service healthy"),
        ("up", True, "service healthy"),
        ("down", False, 'service unhealthy (responded with "NOT_SERVING")'),
        ("other", False, "error: health rpc probe failed: NOT_FOUND: unknown service"),
    ],
)
async def test_grpc_probes_ask_for_a_service(service: str, good: bool, said: str) -> None:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Health(),))
    port = server.add_insecure_port(f"{HERE}:0")
    await server.start()
    probe = {"grpc": {"port": port, "service": service}}
    outcome = await RealChecker(None).check(probe, Target(container(), "id", HERE), 5)
    assert outcome == Outcome(good, said)
    await server.stop(None)


async def test_a_grpc_probe_of_something_else_fails(server: tuple[int, list[bytes]]) -> None:
    probe = {"grpc": {"port": server[0], "service": ""}}
    outcome = await RealChecker(None).check(probe, Target(container(), "id", HERE), 5)
    assert not outcome.good


class Shell:
    """A runtime that can exec, as it is told."""

    async def exec_sync(
        self, container_id: str, command: list[str], timeout_s: float
    ) -> tuple[int, bytes]:
        if command[0] == "sleep":
            await asyncio.Event().wait()
        if command == ["gone"]:
            raise RuntimeFailure("container is not running")
        return (0, b"fine") if command == ["true"] else (3, b"not well")


async def test_commands_are_judged_by_their_exit_code() -> None:
    checker, target = RealChecker(Shell()), Target(container(), "id", HERE)
    assert (await checker.check({"exec": {"command": ["true"]}}, target, 1)).good
    bad = await checker.check({"exec": {"command": ["false"]}}, target, 1)
    assert bad == Outcome(False, "not well")
    gone = await checker.check({"exec": {"command": ["gone"]}}, target, 1)
    assert gone == Outcome(False, "container is not running")
    late = await checker.check({"exec": {"command": ["sleep", "60"]}}, target, 0.05)
    assert late == Outcome(False, 'command timed out: "sleep 60" timed out after 0.05s')
