"""What a node tells others than the server: to whom the server says that they may read it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from longshore.base.users import User
from longshore.cluster.agent.access import NodeAccess, subresources
from longshore.cluster.agent.api import NodeApi
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Create
from longshore.doors.kit.http import Reply, Request
from longshore.doors.kubernetes.client import call_of
from longshore.testing.clock import VirtualClock
from tests.access.test_agents import Containers
from tests.contract.test_rule_35_tokens import cluster, issued
from tests.doors.rig import Kube
from tests.permission.rig import JANE, binding, made, node, role, rule

RBAC = "/apis/rbac.authorization.k8s.io/v1"


class Node:
    """A node that asks a real door, as itself, and counts how often."""

    def __init__(self, ask: Kube) -> None:
        self.ask, self.asked, self.clock = ask, 0, VirtualClock()
        told = Containers()
        self.api = NodeApi(told, told, NodeAccess(self, "n1", self.clock))

    async def write(self, operation: Create) -> Doc:
        self.asked += 1
        before, self.ask.user = self.ask.user, node("n1")
        call = call_of(operation)
        answer = await self.ask(call.method, call.path, operation.doc)
        self.ask.user = before
        assert answer.status == 201, answer.doc
        doc: Doc = answer.doc
        return doc

    async def status(
        self, path: str, user: User | None = None, token: str = "", method: str = "GET"
    ) -> int:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        reply = await self.api.handle(Request(method, path, {}, headers, b"", user))
        assert isinstance(reply, Reply)
        return reply.status


@pytest.fixture
async def n1(tmp_path: Path) -> AsyncIterator[Node]:
    async with cluster(tmp_path) as ask:
        yield Node(ask)


async def allow(n1: Node, what: str, *subjects: str) -> None:
    reading = role(f"read-{what}", rule("get", f"nodes/{what}"))
    await made(n1.ask, f"{RBAC}/clusterroles", reading)
    bound = binding(f"read-{what}", f"read-{what}", *subjects)
    await made(n1.ask, f"{RBAC}/clusterrolebindings", bound)


async def test_a_service_account_with_nodes_metrics_reads_metrics_alone(n1: Node) -> None:
    await allow(n1, "metrics", "account:default/robot")
    token = await issued(n1.ask)
    assert await n1.status("/metrics/cadvisor", token=token) == 404, "asked, and there is none here"
    for path in ("/stats/summary", "/pods", "/configz", "/logs/n/p/c", "/exec/n/p/c"):
        assert await n1.status(path, token=token) == 403, path


async def test_a_certificate_is_judged_alike(n1: Node) -> None:
    await allow(n1, "stats", "user:jane")
    assert await n1.status("/stats/summary", JANE) == 200
    assert await n1.status("/stats/summary", node("n2")) == 403
    assert await n1.status("/stats/summary", JANE, method="POST") == 403


async def test_nodes_proxy_is_for_all_that_is_told(n1: Node) -> None:
    await allow(n1, "proxy", "user:jane")
    for path in ("/stats/summary", "/pods", "/configz"):
        assert await n1.status(path, JANE) == 200, path
    assert await n1.status("/exec/n/p/c", JANE) == 403, "but not for what is done"


@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c"])
async def test_who_cannot_be_told_is_nobody(n1: Node, token: str) -> None:
    assert await n1.status("/metrics", token=token) == 401


async def test_the_server_is_asked_once_in_a_while(n1: Node) -> None:
    await allow(n1, "metrics", "account:default/robot")
    token = await issued(n1.ask)
    for _ in range(5):
        await n1.status("/metrics", token=token)
    assert n1.asked == 2, "who it is, and what it may do"
    await n1.clock.advance(121.0)
    await n1.status("/metrics", token=token)
    assert n1.asked == 3, "who it is, again"


async def test_a_server_that_is_away_is_no_permission(n1: Node) -> None:
    class Away:
        async def write(self, operation: Create) -> Doc:
            raise ConnectionRefusedError("away")

    told = Containers()
    api = NodeApi(told, told, NodeAccess(Away(), "n1", n1.clock))
    reply: Any = await api.handle(Request("GET", "/metrics", {}, {}, b"", JANE))
    assert reply.status == 503


def test_what_only_the_server_may_has_no_name() -> None:
    assert subresources("/metrics/cadvisor") == ("metrics", "proxy")
    for path in ("/exec/n/p/c", "/attach/n/p/c", "/portforward/n/p", "/logs/n/p/c", "/", "/pods/x"):
        assert subresources(path) == ()
