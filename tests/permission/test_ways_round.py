"""Ways round permission: odd paths, headers and selectors by somebody who may read pods of one namespace.
Nobody gets to see what is planted elsewhere, whatever the status."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

import pytest

from longshore.base.users import User
from longshore.core.objects.kinds import Doc
from longshore.doors.kit.http import AnyReply, Reply, Request
from tests.doors.rig import ADMIN, Kube, Raw, kube, pod, serving
from tests.permission.rig import JANE, RBAC, binding, made, refused

CANARY = "canary-7d1f"
SECRET = base64.b64encode(CANARY.encode()).decode()
OTHER = "/api/v1/namespaces/other"
MINE = "/api/v1/namespaces/default"


@pytest.fixture
async def ask() -> AsyncIterator[Kube]:
    """jane views the namespace default; canaries are in other."""
    async with kube(roles=True) as door:
        await made(door, "/api/v1/namespaces", {"metadata": {"name": "other"}})
        secret: Doc = {"metadata": {"name": "s"}, "data": {"a": SECRET}}
        await made(door, f"{OTHER}/secrets", secret)
        await made(door, f"{MINE}/secrets", secret)
        await made(door, f"{OTHER}/pods", pod("p", annotations={"note": CANARY}))
        await made(door, f"{MINE}/pods", pod("q"))
        view = binding("jane", "view", "user:jane")
        await made(door, f"{RBAC}/namespaces/default/rolebindings", view)
        door.user = JANE
        yield door


def is_clean(body: bytes) -> bool:
    return CANARY.encode() not in body and SECRET.encode() not in body


PATHS = [
    f"{OTHER}/pods", f"{OTHER}/pods/p", f"{OTHER}/secrets/s", f"{MINE}/secrets/s", f"{MINE}/secrets",
    f"{MINE}/secrets/", f"{MINE}//secrets", f"{MINE}/secrets//s", f"{MINE}/secrets/s/", f"/{MINE}/secrets",
    f"{MINE}/pods/../secrets/s", f"{MINE}/pods/../../other/pods/p", f"{MINE}/pods/%2e%2e/secrets/s",
    f"{MINE}/pods%2f..%2fsecrets%2fs", f"{MINE}/%73ecrets/s", f"{MINE}/secrets%2Fs", f"{MINE}/Secrets/s",
    f"{MINE}/SECRETS/s", "/API/v1/namespaces/default/secrets/s", "/api/V1/namespaces/default/secrets/s",
    "/api/v1/namespaces/default%2f..%2fother/pods", "/api/v1/namespaces/%6fther/pods", "/api/v1/pods",
    "/api/v1/secrets", "/api/v1/namespaces//pods", "/api/v1/namespaces/*/pods", "/./api/v1/secrets",
    "/healthz/../api/v1/secrets", "/version/../api/v1/secrets", "/healthz%2f..%2fapi%2fv1%2fsecrets",
    "/apis//v1/secrets", "/apis/core/v1/secrets", "/apis/v1/secrets", f"{MINE}/secrets/s?watch=1",
    f"{MINE}/secrets;x=y", f"{MINE}/pods;/../secrets/s", f"{MINE}/secrets/s%00", f"{MINE}/secrets/s%0a",
    f"{MINE}/pods?fieldSelector=metadata.namespace%3Dother", f"{OTHER}/pods/p/log", f"{OTHER}/pods/p/status",
    f"{MINE}/pods/q/proxy/../../../secrets/s", f"{OTHER}/events", "/api/v1/watch/secrets",
    "/api/v1/watch/namespaces/other/pods", "/apis/metrics.k8s.io/v1beta1/pods", "/metrics",
    "/openapi/v2", "/", "/api/v1/componentstatuses", "/api/v1/nodes", f"{OTHER}", "/api/v1/namespaces",
]  # fmt: skip


async def test_odd_paths_lead_nowhere(ask: Kube) -> None:
    async def handle(request: Request) -> AnyReply:
        request.user = JANE
        return await ask.door.handle(request)

    seen = {}
    async with serving(handle) as (_, port):
        for path in PATHS:
            for method in ("GET", "POST"):
                raw = await Raw.to(port)
                head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
                raw.send(head.encode())
                status, _, body = await raw.reply()
                assert is_clean(body), (method, path, body)
                seen[method, path] = status
                await raw.close()
    assert all(status in range(200, 500) for status in seen.values()), seen
    ask.user = ADMIN
    assert not is_clean((await ask("GET", f"{OTHER}/secrets/s")).body)
    assert seen["GET", f"{OTHER}/pods"] == 403
    assert seen["GET", f"{MINE}/secrets/s"] == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"impersonate_user": "system:admin"},
        {"impersonate_group": "system:masters"},
        {"impersonate_user": "jane", "impersonate_group": "system:masters"},
        {"Impersonate_User": "root"},
        {"x_remote_user": "root", "x_remote_group": "system:masters"},
        {"x_forwarded_user": "root"},
        {"authorization": "Basic cm9vdDpyb290"},
        {"x_original_url": "/healthz"},
        {"x_http_method_override": "GET"},
    ],
)
async def test_headers_make_nobody_of_them_more(ask: Kube, headers: dict[str, str]) -> None:
    answer = await ask("GET", f"{OTHER}/secrets/s", None, **headers)
    assert answer.status in (400, 403)
    assert is_clean(answer.body)


@pytest.mark.parametrize(
    "query",
    [
        "fieldSelector=metadata.namespace=other", "fieldSelector=metadata.namespace!=default",
        "namespace=other", "labelSelector=", "resourceVersion=0", "limit=1000&continue=",
    ],
)  # fmt: skip
async def test_selectors_do_not_leave_the_namespace(ask: Kube, query: str) -> None:
    answer = await ask("GET", f"{MINE}/pods?{query}")
    assert is_clean(answer.body)
    if answer.status == 200:
        names = {one["metadata"]["namespace"] for one in answer.doc["items"]}
        assert names <= {"default"}


async def test_a_watch_hears_of_nothing_elsewhere(ask: Kube) -> None:
    refused(await ask("GET", "/api/v1/pods?watch=true"), "cannot watch")
    refused(await ask("GET", f"{OTHER}/pods?watch=true"), "cannot watch")
    watcher = await ask.watch(f"{MINE}/pods?watch=true")
    assert (await watcher.seen())[:2] == ("ADDED", "q")
    await made(ask, f"{OTHER}/pods", pod("later", annotations={"note": CANARY}))
    await made(ask, f"{MINE}/pods", pod("mine"))
    assert (await watcher.seen())[:2] == ("ADDED", "mine")
    await watcher.close()


async def test_a_continue_token_of_another_lists_no_more(ask: Kube) -> None:
    """A token names a place in the order of keys; it gives no right to go on there."""
    ask.user = ADMIN
    token = (await ask("GET", f"{OTHER}/pods?limit=1")).doc["metadata"].get("continue", "")
    everywhere = (await ask("GET", "/api/v1/pods?limit=1")).doc["metadata"]["continue"]
    ask.user = JANE
    for stolen in filter(None, (token, everywhere)):
        answer = await ask("GET", f"{MINE}/pods?limit=10&continue={stolen}")
        assert is_clean(answer.body)
        refused(await ask("GET", f"/api/v1/pods?limit=10&continue={stolen}"))


async def test_what_is_refused_does_not_say_whether_it_is_there(ask: Kube) -> None:
    there = await ask("GET", f"{OTHER}/secrets/s")
    gone = await ask("GET", f"{OTHER}/secrets/t")
    assert there.status == gone.status == 403
    assert there.doc["message"].replace('"s"', '"t"') == gone.doc["message"]
    for method, body in (("DELETE", None), ("PUT", {}), ("PATCH", {})):
        answer = await ask(method, f"{OTHER}/secrets/s", body)
        assert answer.status in (400, 403, 415) and is_clean(answer.body)


async def test_logs_and_sessions_of_others_are_refused_first(ask: Kube) -> None:
    for path in ("log", "exec?command=x&stdout=1", "attach", "proxy/"):
        reply = await ask.raw("GET", f"{OTHER}/pods/p/{path}")
        assert isinstance(reply, Reply) and reply.status == 403, path


async def test_groups_are_not_read_out_of_names(ask: Kube) -> None:
    ask.user = User("eve,system:masters", ("dev\nsystem:masters", "system:authenticated"))
    refused(await ask("GET", f"{OTHER}/secrets/s"))
    ask.user = User("system:masters", ("system:authenticated",))
    refused(await ask("GET", f"{OTHER}/secrets/s"))
