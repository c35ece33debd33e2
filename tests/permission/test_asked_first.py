"""Whether somebody may is the first question: before a body is read, and before it is said what is
served or what exists."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from longshore.base.users import User
from longshore.core.registry.wishes import Wish
from longshore.doors.kit.http import Request
from longshore.doors.kubernetes.requested import wish_of_unknown

from ..doors.rig import ADMIN, Kube, config_map, kube, pod
from .rig import JANE, RBAC, binding, made, role, rule

NOBODY = User("nobody", ("system:authenticated",))
MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
GARBAGE = (b"{", b"[" * 5000, b"\xff\xfe", b"", b'{"kind": "Pod"}', b"x" * 20_000)


@pytest.fixture
async def ask() -> AsyncIterator[Kube]:
    async with kube(roles=True) as door:
        await made(door, MAPS, config_map("there"))
        await made(door, PODS, pod("there"))
        door.user = NOBODY
        yield door


@pytest.mark.parametrize("body", GARBAGE)
async def test_no_body_is_read_of_who_may_not_send_it(ask: Kube, body: bytes) -> None:
    for method, path in (
        ("POST", MAPS), ("PUT", f"{MAPS}/there"), ("PATCH", f"{MAPS}/there"), ("DELETE", MAPS),
        ("DELETE", f"{MAPS}/there"), ("POST", f"{PODS}/there/eviction"), ("POST", f"{PODS}/there/binding"),
        ("POST", "/api/v1/namespaces/default/serviceaccounts/default/token"),
        ("PUT", "/api/v1/namespaces/default/finalize"), ("PATCH", f"{PODS}/there/status"),
        ("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews"),
        ("POST", "/apis/authentication.k8s.io/v1/tokenreviews"),
        ("POST", "/api/v1/namespaces/default/bindings"),
    ):  # fmt: skip
        for media in (
            "application/json",
            "application/yaml",
            "application/vnd.kubernetes.protobuf",
        ):
            answer = await ask(method, path, body, content_type=media)
            assert (answer.status, answer.doc["reason"]) == (403, "Forbidden"), (method, path)


METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
BELOW = (
    "",
    "/portforward",
    "/resize",
    "/scale",
    "/other",
    "/proxy",
    "/exec",
    "/attach",
    "/log",
    "/token",
)


@pytest.mark.parametrize("below", BELOW)
async def test_what_exists_and_what_is_served_looks_the_same(ask: Kube, below: str) -> None:
    for method in METHODS:
        for resource in ("pods", "configmaps", "widgets"):
            said = []
            for name in ("there", "none"):
                path = f"/api/v1/namespaces/default/{resource}/{name}{below}"
                answer = await ask(method, path, b"{}")
                assert answer.status == 403, (method, path, answer.body)
                said.append(answer.body.replace(name.encode(), b"NAME"))
            assert said[0] == said[1]


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/widgets", "/api/v2/pods", "/apis/none.example/v1/things",
        "/apis/apps/v1beta1/deployments",
        "/apis/none.example/v1/namespaces/default/things/a/status", "/api/v1/namespaces/default/none",
    ],
)  # fmt: skip
async def test_kinds_that_are_not_served_are_refused_first(ask: Kube, path: str) -> None:
    answer = await ask("GET", path)
    assert (answer.status, answer.doc["reason"]) == (403, "Forbidden")
    ask.user = ADMIN
    assert (await ask("GET", path)).status == 404


async def test_who_may_hears_what_is_not_there(ask: Kube) -> None:
    rules = [rule("get update patch", "pods/resize")]
    await made(ask, f"{RBAC}/clusterroles", role("more", *rules))
    await made(ask, f"{RBAC}/clusterrolebindings", binding("more", "more", "user:jane"))
    ask.user = JANE
    answer = await ask("GET", f"{PODS}/none/resize")
    assert (answer.status, answer.doc["message"]) == (404, 'pods "none" not found')


async def test_metrics_are_asked_about_first(ask: Kube) -> None:
    for method in ("GET", "DELETE", "POST"):
        for path in ("nodes", "nodes/n1", "nodes?watch=1", "namespaces/default/pods/p/none"):
            answer = await ask(method, f"/apis/metrics.k8s.io/v1beta1/{path}", b"{")
            assert answer.status == 403, (method, path)


async def test_a_proxied_name_is_granted_with_its_scheme_and_port(ask: Kube) -> None:
    """As upstream: who may reach a backend's usual port may not reach every one."""
    names = rule("get", "services/proxy", names="web https:web:443")
    await made(ask, f"{RBAC}/clusterroles", role("reach", names))
    await made(ask, f"{RBAC}/clusterrolebindings", binding("reach", "reach", "user:jane"))
    ask.user = JANE
    seen = {}
    for name in ("web", "https:web:443", "web:22", "http:web:80", "other"):
        path = f"/api/v1/namespaces/default/services/{name}/proxy/"
        seen[name] = (await ask("GET", path)).status
    assert seen == {
        "web": 404,
        "https:web:443": 404,
        "web:22": 403,
        "http:web:80": 403,
        "other": 403,
    }


@pytest.mark.parametrize("root", ["healthz", "livez", "readyz"])
async def test_health_is_for_all_and_its_parts_for_those_who_watch_over_it(
    ask: Kube, root: str
) -> None:
    ask.user = None
    assert (await ask("GET", f"/{root}?verbose")).status == 200
    for path in (f"/{root}/ping", f"/{root}/none", f"/{root}/"):
        assert (await ask("GET", path)).status == 401
        ask.user = NOBODY
        assert (await ask("GET", path)).status == 403
        ask.user = None
    ask.user = User("probe", ("system:monitoring", "system:authenticated"))
    assert (await ask("GET", f"/{root}/ping")).body == b"ok"
    assert (await ask("GET", f"/{root}/none")).status == 404


@pytest.mark.parametrize(
    ("method", "path", "wish"),
    [
        ("GET", "/apis/a.b/v1/things", Wish("list", "a.b", "things")),
        ("GET", "/apis/a.b/v1/things/x", Wish("get", "a.b", "things", "", "x")),
        ("POST", "/apis/a.b/v1/namespaces/n/things", Wish("create", "a.b", "things", "n")),
        ("PUT", "/api/v1/namespaces/n/things/x/status",
         Wish("update", "", "things", "n", "x", "status")),
        ("PUT", "/api/v9/namespaces/n/finalize", Wish("update", "", "namespaces", "n", "n", "finalize")),
        ("DELETE", "/api/v9/namespaces/n", Wish("delete", "", "namespaces", "n", "n")),
        ("TRACE", "/api/v1/things/x", Wish("", "", "things", "", "x")),
        ("GET", "/apis/a.b/v1", None), ("GET", "/api/v1/", None), ("GET", "/apis", None),
        ("GET", "/version", None), ("GET", "/", None),
    ],
)  # fmt: skip
def test_what_is_asked_for_of_what_is_not_served(method: str, path: str, wish: Wish | None) -> None:
    assert wish_of_unknown(Request(method, path, {}, {}, b"", None, path)) == wish
