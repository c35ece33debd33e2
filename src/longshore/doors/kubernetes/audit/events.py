"""Audit events as documents (audit.k8s.io/v1 Event). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from longshore.base.clock import rfc3339_micro
from longshore.base.users import User
from longshore.core.objects.kinds import Doc
from longshore.doors.kit.http import Request
from longshore.doors.kubernetes.audit.policy import API_VERSION, Deed
from longshore.doors.kubernetes.translate import Target

_LINE = orjson.OPT_APPEND_NEWLINE
_ADDRESS_MAX = 64
_AGENT_MAX = 1024


def common(deed: Deed, level: str) -> Doc:
    """What all deeds of one kind by one user have in common. The user is in JSON already."""
    told: Doc = {
        "kind": "Event", "apiVersion": API_VERSION, "level": level, "verb": deed.verb,
        "user": orjson.Fragment(orjson.dumps(user(deed.who))),
    }  # fmt: skip
    if deed.resource:
        told["objectRef"] = _reference(deed)
    return told


def event(request: Request, told: Doc, target: Target | None, audit_id: str) -> Doc:
    """What does not change from stage to stage of one request."""
    told = {**told, "auditID": audit_id, "requestURI": request.target or request.path}
    if target is not None and target.name:
        told["objectRef"] = {**told["objectRef"], "name": target.name}
    if request.peer:
        told["sourceIPs"] = [request.peer[:_ADDRESS_MAX]]
    if agent := request.headers.get("user-agent"):
        told["userAgent"] = agent[:_AGENT_MAX]
    return told


def line(told: Doc, stage: str, moment: float, more: Mapping[str, Any]) -> bytes:
    """One stage as a line of JSON. moment: seconds since the epoch; more: what is known by then
    (empty parts are left out)."""
    whole = {**told, "stage": stage, "stageTimestamp": rfc3339_micro(moment)}
    whole |= {part: value for part, value in more.items() if value}
    return orjson.dumps(whole, option=_LINE)


def user(who: User) -> Doc:
    told: Doc = {"username": who.name}
    if who.uid:
        told["uid"] = who.uid
    if who.groups:
        told["groups"] = list(who.groups)
    if who.extra:
        told["extra"] = {key: list(values) for key, values in who.extra}
    return told


def status_of(code: int, body: bytes) -> Doc:
    """Of a refusal as the Status says it; of all else only the code."""
    told: Doc = {"metadata": {}, "code": code}
    if code >= 400:
        try:
            said = orjson.loads(body)
        except orjson.JSONDecodeError:
            said = {}
        if isinstance(said, dict):
            told |= {
                part: said[part]
                for part in ("status", "message", "reason", "details")
                if said.get(part)
            }
    return told


def object_of(body: bytes, media: str, *, without_managed_fields: bool) -> Any:
    """A body as it can be told: the document, if it is JSON; else None."""
    if "json" not in media or not body:
        return None
    try:
        doc = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if without_managed_fields:
        _bare(doc)
    return doc


def _bare(doc: Any) -> None:
    """Take metadata.managedFields from an object, or from every one of a list."""
    if not isinstance(doc, dict):
        return
    if isinstance(doc.get("metadata"), dict):
        doc["metadata"].pop("managedFields", None)
    items = doc.get("items")
    for item in items if isinstance(items, list) else ():
        _bare(item)


def _reference(deed: Deed) -> Doc:
    parts = {
        "resource": deed.resource, "namespace": deed.namespace,
        "apiGroup": deed.group, "apiVersion": deed.version, "subresource": deed.subresource,
    }  # fmt: skip
    return {key: value for key, value in parts.items() if value}
