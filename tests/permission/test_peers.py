"""What a node may know of other nodes' pods, to enforce NetworkPolicies: labels, addresses and named
ports, and not a word more."""

from __future__ import annotations

from collections.abc import AsyncIterator

import orjson
import pytest

from longshore.base.users import User
from longshore.core.objects.kinds import KINDS, PEERS, POD_PEER, SERVED, Doc
from longshore.core.registry.client import Bind
from longshore.doors.kit.http import StreamReply
from longshore.doors.kubernetes.door import DoorConfig
from longshore.machinery.network.policy.model import pod_of
from tests.doors.rig import ADMIN, Kube, kube
from tests.permission.rig import JANE, ROBOT, made, node

GROUP = "/apis/network.longshore.io/v1"
PODS, PEER_PODS = "/api/v1/namespaces/default/pods", f"{GROUP}/podpeers"
POLICIES = "/apis/networking.k8s.io/v1/networkpolicies"
CANARY = "canary-7a90"


def secretive(name: str) -> Doc:
    """A pod that says CANARY wherever it can."""
    container = {
        "name": "main", "image": f"{CANARY}:1", "command": [CANARY],
        "env": [{"name": "A", "value": CANARY}],
        "ports": [{"name": "web", "containerPort": 80}, {"containerPort": 81}],
    }  # fmt: skip
    silent = {"name": f"{CANARY}-2", "image": "b"}
    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "web"}, "annotations": {"a": CANARY},
                     "finalizers": [f"x.io/{CANARY}"]},
        "spec": {"containers": [container, silent], "serviceAccountName": CANARY,
                 "volumes": [{"name": "v", "secret": {"secretName": CANARY}}]},
    }  # fmt: skip


@pytest.fixture
async def ask() -> AsyncIterator[Kube]:
    """Two pods, one of them on n2; n1 asks."""
    async with kube(DoorConfig(kinds=SERVED), roles=True) as door:
        account = {"metadata": {"name": CANARY}}
        await made(door, "/api/v1/namespaces/default/serviceaccounts", account)
        for name in ("n1", "n2"):
            await made(door, "/api/v1/nodes", {"metadata": {"name": name}})
        for name in ("waiting", "placed"):
            await made(door, PODS, secretive(name))
        await door.registry.bind(ADMIN, Bind("default", "placed", "n2"))
        door.user = node("n1")
        yield door


async def test_of_a_pod_a_node_sees_what_policies_go_by(ask: Kube) -> None:
    answer = await ask("GET", PEER_PODS)
    assert answer.status == 200
    placed, waiting = answer.doc["items"]
    assert placed["spec"]["nodeName"] == "n2"
    assert placed["metadata"]["labels"] == {"app": "web"}
    (container,) = placed["spec"]["containers"]
    assert [port["name"] for port in container["ports"]] == ["web"]
    assert waiting["metadata"]["resourceVersion"].isdecimal()
    assert CANARY not in orjson.dumps(answer.doc).decode()
    of_namespaces = await ask("GET", f"{GROUP}/namespacepeers")
    label = {"kubernetes.io/metadata.name": "default"}
    assert of_namespaces.doc["items"][0]["metadata"]["labels"] == label
    assert (await ask("GET", "/api/v1/pods")).status == 403
    assert (await ask("GET", "/api/v1/namespaces")).status == 403


async def test_of_a_node_another_sees_the_way_to_its_pods(ask: Kube) -> None:
    ask.user = ADMIN
    merge = "application/merge-patch+json"
    inner = {"type": "InternalIP", "address": "10.0.0.2"}
    status = {"addresses": [{"type": "Hostname", "address": CANARY}, inner]}
    told = {"spec": {"podCIDR": "10.42.2.0/24", "podCIDRs": ["10.42.2.0/24"]}}
    marked = {**told, "metadata": {"annotations": {"a": CANARY}}}
    await ask("PATCH", "/api/v1/nodes/n2", marked, content_type=merge)
    await ask("PATCH", "/api/v1/nodes/n2/status", {"status": status}, content_type=merge)
    ask.user = node("n1")
    _, other = (await ask("GET", f"{GROUP}/nodepeers")).doc["items"]
    assert other["spec"] == told["spec"]
    assert other["status"] == {"addresses": [inner]}
    assert CANARY not in orjson.dumps(other).decode()
    assert (await ask("GET", "/api/v1/nodes")).status == 403


async def test_policies_read_the_same_of_a_pod_and_of_its_peer(ask: Kube) -> None:
    peers = {doc["metadata"]["name"]: doc for doc in (await ask("GET", PEER_PODS)).doc["items"]}
    ask.user = ADMIN
    for pod in (await ask("GET", PODS)).doc["items"]:
        assert pod_of(pod) == pod_of(peers[pod["metadata"]["name"]])


async def test_a_node_s_own_pods_are_chosen_by_its_name(ask: Kube) -> None:
    chosen = await ask("GET", f"{PEER_PODS}?fieldSelector=spec.nodeName=n2")
    assert [doc["metadata"]["name"] for doc in chosen.doc["items"]] == ["placed"]
    none = await ask("GET", f"{PEER_PODS}?fieldSelector=spec.nodeName=n1")
    assert none.doc["items"] == []


@pytest.mark.parametrize("chosen", ["", "&fieldSelector=spec.nodeName=n1"])
async def test_a_watch_tells_of_pods_as_peers(ask: Kube, chosen: str) -> None:
    reply = await ask.raw("GET", f"{PEER_PODS}?watch=true{chosen}&resourceVersion=")
    assert isinstance(reply, StreamReply)
    known = [] if chosen else ["placed", "waiting"]
    if known:
        assert named(await anext(reply.pieces)) == [("ADDED", name) for name in known]
    await ask.registry.bind(ADMIN, Bind("default", "waiting", "n1"))
    piece = await anext(reply.pieces)
    assert named(piece) == [("ADDED" if chosen else "MODIFIED", "waiting")]
    assert CANARY.encode() not in piece
    await reply.pieces.aclose()


async def test_what_changes_of_a_pod_and_not_of_its_peer_is_not_told(ask: Kube) -> None:
    reply = await ask.raw("GET", f"{PEER_PODS}?watch=true&resourceVersion=")
    assert isinstance(reply, StreamReply)
    await anext(reply.pieces)
    ask.user = ADMIN
    merge = "application/merge-patch+json"
    for metadata in ({"annotations": {"b": "c"}}, {"labels": {"app": "other"}}):
        patched = await ask("PATCH", f"{PODS}/placed", {"metadata": metadata}, content_type=merge)
        assert patched.status == 200, patched.doc
    (event,) = (await anext(reply.pieces)).splitlines()
    assert orjson.loads(event)["object"]["metadata"]["labels"] == {"app": "other"}
    await reply.pieces.aclose()


async def test_they_are_shown_as_a_table_too(ask: Kube) -> None:
    table = "application/json;as=Table;v=v1;g=meta.k8s.io"
    shown = (await ask("GET", PEER_PODS, accept=table)).doc
    assert [column["name"] for column in shown["columnDefinitions"]] == ["Name", "Age"]
    assert [row["cells"][0] for row in shown["rows"]] == ["placed", "waiting"]


def named(piece: bytes) -> list[tuple[str, str]]:
    events = [orjson.loads(line) for line in piece.splitlines()]
    assert all(event["object"]["kind"] == POD_PEER.name for event in events)
    return [(event["type"], event["object"]["metadata"]["name"]) for event in events]


@pytest.mark.parametrize("who", [JANE, ROBOT, User("system:node:n1", ("system:authenticated",))])
async def test_nobody_else_sees_them(ask: Kube, who: User) -> None:
    ask.user = who
    for kind in PEERS:
        assert (await ask("GET", f"{GROUP}/{kind.plural}")).status == 403


async def test_they_are_read_and_never_written(ask: Kube) -> None:
    for who, path in ((node("n1"), PEER_PODS), (ADMIN, f"{GROUP}/namespaces/default/podpeers")):
        ask.user = who
        for method in ("POST", "DELETE"):
            body = {"metadata": {"name": "x"}} if method == "POST" else None
            assert (await ask(method, path, body)).status in (403, 405)
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        one = await ask(method, f"{GROUP}/namespaces/default/podpeers/placed", {"metadata": {}})
        assert one.status in (403, 404, 405, 415), (method, one.doc)
    ask.user = node("n1")
    assert (await ask("GET", POLICIES)).status == 200
    assert (await ask("POST", POLICIES, {"metadata": {"name": "x"}})).status in (403, 405)
    assert not any(kind.is_stored for kind in PEERS)
    assert not set(PEERS) & set(KINDS)
