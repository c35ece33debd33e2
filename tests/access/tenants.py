"""Two tenants, made from the shipped template, and canaries in everything that one of them has."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from longshore.base.users import User
from longshore.cluster.readings.sampling import NodeSamples
from longshore.cluster.tenants.manage import planned
from longshore.cluster.tenants.template import Request, kind_of
from longshore.core.objects import kinds
from longshore.core.objects.errors import Unavailable
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.client import Bind
from longshore.core.streams.protocols import Answering, Ask, LogOptions
from longshore.doors.kit.http import AnyReply, Reply, SlicedReply, StreamReply
from longshore.doors.kubernetes.client import collection_of
from longshore.doors.kubernetes.door import DoorConfig
from longshore.testing.clock import VirtualClock
from tests.doors.rig import ADMIN, Answer, Kube, kube, pod
from tests.objects.minimal import CASES, minimal
from tests.permission.rig import made, role

AUTHENTICATED = ("system:authenticated",)
ANN, BOB = User("ann", AUTHENTICATED), User("bob", AUTHENTICATED)
RED, BLUE = "red", "red-blue"
"""ann administers RED, bob BLUE. One name begins with the other, and sorts before it in the store."""
CANARY = "canary-7d1f"
"""In the name, the labels and the content of all that BLUE has; its name is one too."""
CORE = "/api/v1/namespaces"
EVENTS_V1 = f"/apis/events.k8s.io/v1/namespaces/{BLUE}/events"
METRICS = "/apis/metrics.k8s.io/v1beta1"
MERGE = {"content_type": "application/merge-patch+json"}


@dataclass
class Nodes:
    """Answers for every node, and remembers by whom it was asked for what."""

    asked: list[str] = field(default_factory=list)
    uids: list[str] = field(default_factory=list)

    async def stats(self, node: str) -> dict[str, Any]:
        self.asked.append(node)
        usage = {
            "cpu": {"time": "2026-01-01T00:00:00Z", "usageNanoCores": 1, "windowSeconds": 10},
            "memory": {"time": "2026-01-01T00:00:00Z", "workingSetBytes": 1},
        }
        pods = [
            {
                "podRef": {"uid": uid, "namespace": "", "name": ""},
                "containers": [{"name": "main", **usage}],
            }
            for uid in self.uids
        ]
        return {"node": {"nodeName": node, **usage}, "pods": pods}

    async def ask_node(self, node: str, ask: Ask) -> Answering:
        self.asked.append(node)
        raise Unavailable("asked")

    async def ask_address(self, scheme: str, host: str, port: int, ask: Ask) -> Answering:
        self.asked.append(host)
        raise ConnectionRefusedError(111, "connection refused")

    async def logs(
        self, node: str, namespace: str, pod: str, container: str, options: LogOptions
    ) -> AsyncIterator[bytes]:
        self.asked.append(f"{namespace}/{pod}")
        yield b"said\n"


@contextlib.asynccontextmanager
async def tenants() -> AsyncIterator[tuple[Kube, Nodes]]:
    """A door at which ann asks."""
    nodes = Nodes()
    async with kube(
        DoorConfig(streams=nodes, samples=NodeSamples(nodes, VirtualClock())), roles=True
    ) as ask:
        for name, who in ((RED, ANN), (BLUE, BOB), ("zoo", BOB)):
            await apply_tenant(ask, name, who)
        await made(ask, "/api/v1/nodes", {"metadata": {"name": "n1"}})
        for namespace, name in ((RED, "mine"), (RED, "other"), (BLUE, CANARY), ("zoo", CANARY)):
            nodes.uids.append(await _run(ask, namespace, name))
        await _plant(ask)
        ask.user = ANN
        yield ask, nodes


async def apply_tenant(ask: Kube, name: str, admin: User) -> None:
    for doc in planned(Request(name, (admin.name,)), None):
        kind = kind_of(doc)
        path = f"{collection_of(kind, name)}/{doc['metadata']['name']}?fieldManager=tenant"
        answer = await ask("PATCH", path, doc, content_type="application/apply-patch+yaml")
        assert answer.status == 201, answer.doc


async def _plant(ask: Kube) -> None:
    for kind in (*CASES, kinds.SERVICE, kinds.ROLE, kinds.EVENT):
        if kind.namespaced:
            await made(ask, collection_of(kind, BLUE), _canary(kind))
    event = {
        "metadata": {"name": f"{CANARY}-new"}, "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "tests", "reportingInstance": CANARY, "action": "Planting",
        "reason": "Planted", "type": "Normal", "note": CANARY,
        "regarding": {"kind": "Pod", "namespace": BLUE, "name": CANARY},
    }  # fmt: skip
    await made(ask, EVENTS_V1, event)


def _canary(kind: Kind) -> Doc:
    special: dict[Kind, Doc] = {
        kinds.SERVICE: {"spec": {"ports": [{"port": 80, "name": "http"}]}},
        kinds.ROLE: {"rules": role(CANARY)["rules"]},
        kinds.EVENT: {
            "involvedObject": {"kind": "Pod", "namespace": BLUE, "name": CANARY},
            "reason": "Planted", "message": CANARY, "source": {"component": "tests"},
        },
    }  # fmt: skip
    doc = special.get(kind) or minimal(kind)
    labels = {"team": CANARY}
    return {**doc, "metadata": {"name": CANARY, "labels": labels, "annotations": labels}}


async def _run(ask: Kube, namespace: str, name: str) -> str:
    stored = await made(ask, f"{CORE}/{namespace}/pods", pod(name, labels={"app": "web"}))
    await ask.registry.bind(ADMIN, Bind(namespace, name, "n1"))
    status = {"phase": "Running", "podIP": "10.42.1.9", "podIPs": [{"ip": "10.42.1.9"}]}
    asker, ask.user = ask.user, ADMIN
    path = f"{CORE}/{namespace}/pods/{name}/status"
    assert (await ask("PATCH", path, {"status": status}, **MERGE)).status == 200
    ask.user = asker
    uid: str = stored["metadata"]["uid"]
    return uid


async def as_admin(ask: Kube, method: str, target: str, body: Any = None, **headers: str) -> Answer:
    asker, ask.user = ask.user, ADMIN
    answer = await ask(method, target, body, **headers)
    ask.user = asker
    return answer


async def whole(ask: Kube, method: str, target: str, body: Any = None, **headers: str) -> bytes:
    """All that an answer says, its headers too but for its own number; of a stream, that there is one."""
    reply: AnyReply = await ask.raw(method, target, body, **headers)
    if isinstance(reply, StreamReply):
        await reply.pieces.aclose()
        return b"200 a stream"
    if isinstance(reply, SlicedReply):
        said = b"".join(reply.slices)
    else:
        assert isinstance(reply, Reply), reply
        said = reply.body
    headers = {name: value for name, value in reply.headers.items() if name != "Audit-ID"}
    return b"%d %s %s" % (reply.status, orjson.dumps(headers), said)


def is_clean(said: bytes) -> bool:
    return CANARY.encode() not in said and BLUE.encode() not in said


def anonymised(said: bytes) -> bytes:
    """Without the names of objects and namespaces that were asked for."""
    for name in (CANARY, "absent-77", BLUE, "nowhere"):
        said = said.replace(name.encode(), b"NAME")
    return said
