"""How a cell of the matrix is asked: as the request itself, and as a review of it."""

from __future__ import annotations

from typing import NamedTuple

import orjson

from longshore.base.users import User
from longshore.core.objects.kinds import Doc
from longshore.doors.kit.http import AnyReply, Reply, StreamReply
from tests.access.rules import Cell
from tests.doors.rig import ADMIN, Kube

REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
TALKS = frozenset({"attach", "exec", "portforward"})
"""By whatever method they are asked, they are created."""
_METHODS = {
    "get": "GET", "list": "GET", "watch": "GET", "create": "POST", "update": "PUT",
    "patch": "PATCH", "delete": "DELETE", "deletecollection": "DELETE",
}  # fmt: skip
_OF_COLLECTIONS = frozenset({"list", "watch", "deletecollection"})
_BODIES: dict[str, Doc] = {
    "bindings": {"apiVersion": "v1", "kind": "Binding", "target": {"name": "n2"}},
    "pods/binding": {"apiVersion": "v1", "kind": "Binding", "target": {"name": "n2"}},
    "pods/eviction": {"apiVersion": "policy/v1", "kind": "Eviction"},
    "serviceaccounts/token": {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"},
}


class Asked(NamedTuple):
    method: str
    target: str
    body: Doc | None


def request_of(cell: Cell) -> Asked | None:
    """None if there is no such request: a verb that no method and path together mean."""
    collected = cell.verb in _OF_COLLECTIONS or (cell.verb == "create" and not cell.below)
    homeless = cell.kind.namespaced and not cell.namespace
    if (collected and cell.below) or (homeless and not collected):
        return None
    root = f"/apis/{cell.kind.api_version}" if cell.kind.group else "/api/v1"
    path = f"{root}/namespaces/{cell.namespace}" if cell.namespace else root
    path += f"/{cell.plural}"
    if not collected:
        path += f"/{cell.name or 'absent'}" + (f"/{cell.below}" if cell.below else "")
    return Asked(_METHODS[cell.verb], path + _query(cell), _body(cell))


def _query(cell: Cell) -> str:
    wishes = {"watch": ["watch=true"], "get": [], "list": []}.get(cell.verb, ["dryRun=All"])
    if cell.verb in ("list", "watch") and cell.name:
        wishes.append(f"fieldSelector=metadata.name={cell.name}")
    return "?" + "&".join(wishes) if wishes else ""


def _body(cell: Cell) -> Doc | None:
    if cell.verb not in ("create", "update", "patch"):
        return None
    usual = {"apiVersion": cell.kind.api_version, "kind": cell.kind.name}
    if cell.below == "scale":
        usual = {"apiVersion": "autoscaling/v1", "kind": "Scale"}
    body = _BODIES.get(cell.resource, usual)
    return {**body, "metadata": {"name": cell.name or "absent"}}


async def is_let_in(ask: Kube, who: User | None, cell: Cell) -> bool | None:
    """Whether the door does not refuse for want of permission, whatever it thinks of the rest. None
    if there is nothing of that kind to be let into. who is None for somebody unknown."""
    asked = request_of(cell)
    if asked is None:
        return None
    ask.user = who
    media = {"content_type": "application/merge-patch+json"} if cell.verb == "patch" else {}
    reply = await ask.raw(asked.method, asked.target, asked.body, **media)
    ask.user = ADMIN
    if isinstance(reply, StreamReply):
        await reply.pieces.aclose()
    return _meaning(cell, reply)


def _meaning(cell: Cell, reply: AnyReply) -> bool | None:
    if not isinstance(reply, Reply) or reply.status < 400:
        return True
    assert reply.status < 500 or reply.status == 503, (cell, reply.body)
    if reply.status == 401:
        return False
    message = str(orjson.loads(reply.body)["message"])
    verb = "create" if cell.below in TALKS else cell.verb
    if reply.status == 403:
        # Admission refuses too, in other words: whoever hears from it was let in.
        return f'cannot {verb} resource "{cell.resource}"' not in message
    unserved = reply.status == 404 and "could not find the requested resource" in message
    return None if unserved or reply.status == 405 else True


async def is_said_to_be_allowed(ask: Kube, who: User, cell: Cell) -> bool:
    """What a SubjectAccessReview says."""
    attributes = {
        "verb": cell.verb, "group": cell.kind.group, "resource": cell.plural,
        "subresource": cell.below, "name": cell.name, "namespace": cell.namespace,
    }  # fmt: skip
    spec = {"user": who.name, "groups": list(who.groups), "resourceAttributes": attributes}
    answer = await ask("POST", REVIEWS, {"spec": spec})
    assert answer.status == 201, answer.doc
    allowed: bool = answer.doc["status"]["allowed"]
    return allowed
