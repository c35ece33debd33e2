"""What a tenant's administrator sees of another tenant: nothing, by whatever road."""

from __future__ import annotations

import base64
import itertools
from collections.abc import AsyncIterator

import orjson
import pytest

from longshore.core.objects import kinds
from longshore.core.objects.kinds import KINDS, Doc, Kind
from longshore.doors.kit.http import StreamReply
from longshore.doors.kubernetes.client import collection_of
from tests.access.tenants import (
    BLUE,
    BOB,
    CANARY,
    CORE,
    MERGE,
    METRICS,
    RED,
    Nodes,
    anonymised,
    as_admin,
    is_clean,
    tenants,
    whole,
)
from tests.doors.rig import TABLE, Kube, pod
from tests.permission.rig import made, refused

FORMS = {
    "json": "application/json",
    "table": TABLE,
    "metadata": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
    "yaml": "application/yaml",
}
QUERIES = [
    "", "limit=500", "resourceVersion=0", f"labelSelector=team%3D{CANARY}", "labelSelector=!nothing",
    f"fieldSelector=metadata.namespace%3D{BLUE}", f"fieldSelector=metadata.namespace!%3D{RED}",
    f"fieldSelector=metadata.name%3D{CANARY}", "includeObject=Object", "pretty=1",
]  # fmt: skip
PLURALS = {kind.plural for kind in KINDS}


@pytest.fixture
async def both() -> AsyncIterator[tuple[Kube, Nodes]]:
    async with tenants() as made_:
        yield made_


@pytest.fixture
def ask(both: tuple[Kube, Nodes]) -> Kube:
    return both[0]


@pytest.fixture
def nodes(both: tuple[Kube, Nodes]) -> Nodes:
    return both[1]


def unquoted(query: str) -> str:
    return query.replace("%3D", "=")


async def test_the_canaries_are_seen_by_whom_they_belong_to(ask: Kube) -> None:
    """Else the other tests could not fail."""
    ask.user = BOB
    for kind in (
        kinds.POD,
        kinds.SECRET,
        kinds.EVENT,
        kinds.EVENT_V1,
        kinds.DEPLOYMENT,
        kinds.ROLE,
    ):
        for form in FORMS.values():
            said = await whole(ask, "GET", collection_of(kind, BLUE), accept=form)
            assert said.startswith(b"200") and not is_clean(said), (kind.name, form)


@pytest.mark.parametrize("form", FORMS)
async def test_lists_of_every_kind(ask: Kube, form: str) -> None:
    """One's own are clean; all namespaces together and what is of no namespace are refused."""
    for kind in KINDS.stored:
        for query in map(unquoted, QUERIES):
            for namespace in (RED, "") if kind.namespaced else ("",):
                target = f"{collection_of(kind, namespace)}?{query}"
                said = await whole(ask, "GET", target, accept=FORMS[form])
                # What was asked for is repeated in a refusal, and only there.
                if said.startswith((b"400", b"403")) and "fieldSelector" in query:
                    said = anonymised(said)
                assert is_clean(said), target
                # Some fields select nothing of some kinds (400); nothing else may differ.
                wanted = (b"200", b"400", b"403") if namespace else (b"400", b"403")
                assert said.startswith(wanted), (target, said)


async def test_what_nodes_know_of_pods_is_for_nodes(ask: Kube) -> None:
    for kind in kinds.PEERS:
        for namespace in (RED, BLUE, "") if kind.namespaced else ("",):
            refused(await ask("GET", collection_of(kind, namespace)))
            refused(await ask("GET", f"{collection_of(kind, namespace)}?watch=1"))


async def test_names_of_namespaces_are_not_told(ask: Kube) -> None:
    """As upstream: a tenant gets its own by name, and lists none."""
    refused(await ask("GET", "/api/v1/namespaces"), 'cannot list resource "namespaces"')
    refused(await ask("GET", f"/api/v1/namespaces?fieldSelector=metadata.name={RED}"))
    refused(await ask("GET", "/api/v1/namespaces?watch=1"), 'cannot watch resource "namespaces"')
    assert (await ask("GET", f"{CORE}/{RED}")).status == 200


DISCOVERY = [
    "/", "/api", "/apis", "/api/v1", "/version", "/openapi/v2", "/openapi/v3", "/healthz", "/metrics",
    "/apis/metrics.k8s.io/v1beta1", "/logs/", "/debug/pprof/", "/configz", "/openid/v1/jwks",
    *(f"/apis/{kind.api_version}" for kind in KINDS if kind.group),
]  # fmt: skip


async def test_discovery_and_operation_name_nobody(ask: Kube) -> None:
    aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    for path in DISCOVERY:
        for form in ("application/json", aggregated):
            assert is_clean(await whole(ask, "GET", path, accept=form)), path
    for path in ("/metrics", "/logs/", "/debug/pprof/", "/configz", "/"):
        assert (await whole(ask, "GET", path)).startswith((b"403", b"404")), path
    refused(await ask("GET", "/metrics"))


# --- watches ---


@pytest.mark.parametrize("query", ["", "&resourceVersion=1", "&resourceVersion=0", "&labelSelector=x",
                                   "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"])  # fmt: skip
async def test_a_watch_hears_of_nothing_elsewhere(ask: Kube, query: str) -> None:
    """Neither from history nor later, nor when something elsewhere begins to match."""
    watcher = await ask.watch(f"{CORE}/{RED}/pods?watch=1&allowWatchBookmarks=true{query}")
    await as_admin(
        ask, "PATCH", f"{CORE}/{BLUE}/pods/{CANARY}", {"metadata": {"labels": {"x": "y"}}},
        content_type="application/merge-patch+json",
    )  # fmt: skip
    await as_admin(ask, "DELETE", f"{CORE}/{BLUE}/pods/{CANARY}?gracePeriodSeconds=0")
    await made(ask, f"{CORE}/{RED}/pods", pod("last", labels={"x": "y"}))
    seen: list[Doc] = []
    while not seen or seen[-1]["metadata"].get("name") != "last":
        seen.append((await watcher.event())["object"])
    assert is_clean(repr(seen).encode())
    await watcher.close()


async def test_no_watch_begins_elsewhere(ask: Kube) -> None:
    for kind in KINDS.stored:
        paths = (
            [collection_of(kind, BLUE), collection_of(kind)]
            if kind.namespaced
            else [collection_of(kind)]
        )
        old = [path.replace("/v1/", "/v1/watch/", 1) for path in paths]
        for path in (*(f"{one}?watch=1" for one in paths), *old):
            said = await whole(ask, "GET", path)
            assert said.startswith(b"403"), path


# --- whether something is there ---

SUBRESOURCES = [
    "", "/status", "/log", "/exec?command=x&stdout=1", "/attach?stdout=1", "/portforward", "/proxy/",
    "/eviction", "/binding", "/ephemeralcontainers", "/resize", "/scale", "/token", "/finalize",
]  # fmt: skip


def named(name: str) -> Doc:
    return {"metadata": {"name": name}}


@pytest.mark.parametrize("kind", [kinds.POD, kinds.SECRET, kinds.SERVICE, kinds.DEPLOYMENT, kinds.NAMESPACE],
                         ids=lambda kind: kind.plural)  # fmt: skip
async def test_a_refusal_does_not_say_whether_it_is_there(ask: Kube, kind: Kind) -> None:
    """The same words for what exists, for what does not, and for what would be elsewhere."""
    there, lost = collection_of(kind, BLUE), collection_of(kind, "nowhere")
    places = [(there, CANARY), (there, "absent-77"), (lost, CANARY)]
    if not kind.namespaced:
        places = [(there, BLUE), (there, "nowhere")]
    for method, below in itertools.product(("GET", "PUT", "PATCH", "DELETE", "POST"), SUBRESOURCES):
        media = MERGE if method == "PATCH" else {}
        said = [
            anonymised(await whole(ask, method, f"{path}/{name}{below}", named(name), **media))
            for path, name in places
        ]
        assert len(set(said)) == 1, said
        assert said[0].startswith(b"403"), said[0]


async def test_preconditions_and_revisions_are_no_oracle(ask: Kube) -> None:
    for body in ({"preconditions": {"uid": "x"}}, {"preconditions": {"resourceVersion": "1"}}):
        refused(await ask("DELETE", f"{CORE}/{BLUE}/pods/{CANARY}", body))
    refused(await ask("GET", f"{CORE}/{BLUE}/pods?resourceVersion=1&resourceVersionMatch=Exact"))
    refused(await ask("POST", f"{CORE}/{BLUE}/pods", pod(CANARY)), "cannot create")
    refused(await ask("DELETE", f"{CORE}/{BLUE}/pods?labelSelector=a"), "cannot deletecollection")


# --- continue tokens ---


async def test_continue_tokens_of_others_open_nothing(ask: Kube) -> None:
    """Every place in an administrator's walk through all namespaces, and through the other one."""
    stolen = []
    for path in (
        "/api/v1/pods",
        f"{CORE}/{BLUE}/pods",
        f"{CORE}/zoo/pods",
        f"{CORE}/{BLUE}/secrets",
    ):
        at = ""
        while at is not None:
            listing = (await as_admin(ask, "GET", f"{path}?limit=1&continue={at}")).doc
            at = listing["metadata"].get("continue")
            stolen += [at] if at else []
    assert len(stolen) == 3
    names = set()
    for token in stolen:
        answer = await ask("GET", f"{CORE}/{RED}/pods?limit=1&continue={token}")
        assert answer.status in (200, 400, 410) and is_clean(answer.body), answer.body
        names |= {one["metadata"]["name"] for one in answer.doc.get("items", ())}
        refused(await ask("GET", f"/api/v1/pods?limit=1&continue={token}"))
        refused(await ask("GET", f"{CORE}/{BLUE}/pods?limit=1&continue={token}"))
    assert names <= {"mine", "other"}


PLACES = [
    "", "/", "/core/pods/", f"/core/pods/{BLUE}/", f"/core/pods/{RED}", f"/core/secrets/{BLUE}/",
    f"/core/pods/{RED}/../{BLUE}/", f"/core/pods/zoo/{CANARY}", "\U0010ffff", "\0",
]  # fmt: skip


@pytest.mark.parametrize("selector", ["", "&labelSelector=app", "&fieldSelector=spec.nodeName=n1"])
async def test_forged_continue_tokens_open_nothing(ask: Kube, selector: str) -> None:
    """Also such as lead into the past, where other things were."""
    for rv, start in itertools.product((-1, 0, 1, 2, 5, 50), PLACES):
        token = base64.urlsafe_b64encode(orjson.dumps({"rv": rv, "start": start})).decode()
        answer = await ask("GET", f"{CORE}/{RED}/pods?limit=100&continue={token}{selector}")
        assert answer.status in (200, 400, 410) and is_clean(answer.body), (rv, start, answer.body)


async def test_other_methods_tell_no_more(ask: Kube) -> None:
    for method in ("HEAD", "OPTIONS", "TRACE", "CONNECT", "get", "LIST"):
        for below in ("", "/log", "/proxy/"):
            said = [
                anonymised(await whole(ask, method, f"{CORE}/{BLUE}/pods/{name}{below}"))
                for name in (CANARY, "absent-77")
            ]
            assert said[0] == said[1] and said[0].startswith(b"403"), said


# --- figures, events, talk ---


async def test_metrics_are_of_ones_own_pods(ask: Kube, nodes: Nodes) -> None:
    for path in (
        "nodes",
        "nodes/n1",
        "pods",
        f"namespaces/{BLUE}/pods",
        f"namespaces/{BLUE}/pods/{CANARY}",
    ):
        refused(await ask("GET", f"{METRICS}/{path}"))
    assert nodes.asked == []
    for form in ("application/json", TABLE):
        answer = await ask("GET", f"{METRICS}/namespaces/{RED}/pods", accept=form)
        assert answer.status == 200 and is_clean(answer.body)
    listing = (await ask("GET", f"{METRICS}/namespaces/{RED}/pods")).doc
    assert {one["metadata"]["name"] for one in listing["items"]} == {"mine", "other"}


async def test_events_are_of_ones_own_objects(ask: Kube) -> None:
    chosen = f"involvedObject.namespace={BLUE}", f"involvedObject.name={CANARY}", "reason=Planted"
    for fields in chosen:
        answer = await ask("GET", f"{CORE}/{RED}/events?fieldSelector={fields}")
        assert answer.status == 200 and answer.doc["items"] == []
        refused(await ask("GET", f"/api/v1/events?fieldSelector={fields}"))
    refused(await ask("GET", f"/apis/events.k8s.io/v1/namespaces/{BLUE}/events"))
    refused(await ask("GET", "/apis/events.k8s.io/v1/events"))


async def test_nobody_says_something_about_another_tenants_objects(ask: Kube) -> None:
    about = {"kind": "Pod", "namespace": BLUE, "name": CANARY}
    event = {"metadata": {"name": "e"}, "involvedObject": about, "reason": "Lies"}
    answer = await ask("POST", f"{CORE}/{RED}/events", event)
    assert answer.status == 422 and "does not match event.namespace" in answer.doc["message"]
    refused(await ask("POST", f"{CORE}/{BLUE}/events", event))


async def test_logs_sessions_and_proxies_of_others_are_not_even_tried(
    ask: Kube, nodes: Nodes
) -> None:
    pods, services = f"{CORE}/{BLUE}/pods/{CANARY}", f"{CORE}/{BLUE}/services/{CANARY}"
    roads = [
        f"{pods}/log", f"{pods}/log?follow=1&container=main", f"{pods}/exec?command=sh&stdout=1",
        f"{pods}/attach?stdout=1", f"{pods}/portforward?ports=80", f"{pods}/proxy/", f"{pods}:80/proxy/x",
        f"{services}/proxy/", f"{services}:80/proxy/", "/api/v1/nodes/n1/proxy/pods",
        f"/api/v1/nodes/n1/proxy/containerLogs/{BLUE}/{CANARY}/main", "/api/v1/nodes/n1/proxy/metrics",
    ]  # fmt: skip
    for road in roads:
        for method in ("GET", "POST"):
            reply = await ask.raw(method, road)
            assert not isinstance(reply, StreamReply) and (
                await whole(ask, method, road)
            ).startswith(b"403"), road
    assert nodes.asked == []
    assert (await whole(ask, "GET", f"{CORE}/{RED}/pods/mine/log")).startswith(b"200")
