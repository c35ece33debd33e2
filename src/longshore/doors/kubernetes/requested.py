"""What a request asks permission for, read from its method, path and query alone. Pure.

Source: apiserver/pkg/endpoints/request/requestinfo.go (RequestInfo); what differs: a talk is a create
whatever its method, as upstream demands of one over WebSocket besides (AuthorizePodWebsocketUpgrade);
what a project used is for whoever may list its pods.
"""

from __future__ import annotations

from collections.abc import Mapping

from longshore.core.objects.errors import BadRequest
from longshore.core.objects.kinds import NAMESPACE, POD, PROJECT_USAGE
from longshore.core.objects.selectors import parse_fields
from longshore.core.registry.wishes import NO_FIELDS, Wish
from longshore.doors.kit.http import Request
from longshore.doors.kubernetes.translate import Target, flag

VERBS = {
    ("GET", "object"): "get", ("HEAD", "object"): "get",
    ("GET", "collection"): "list", ("HEAD", "collection"): "list",
    ("POST", "collection"): "create", ("POST", "object"): "create",
    ("PUT", "object"): "update", ("PATCH", "object"): "patch",
    ("DELETE", "object"): "delete", ("DELETE", "collection"): "deletecollection",
}  # fmt: skip
TALKS = ("exec", "attach", "portforward")
_MANY = ("list", "watch", "deletecollection")
# Below a namespace these are the namespace's own, not kinds of resources.
_OF_NAMESPACES = ("status", "finalize")


def verb_of(request: Request, target: Target) -> str:
    """Empty for methods that have none."""
    if target.subresource in TALKS:
        return "create"
    verb = VERBS.get((request.method, target.shape), "")
    return "watch" if verb == "list" and flag(request.query, "watch") else verb


def wish_of(request: Request, target: Target) -> Wish:
    kind, verb = target.kind, verb_of(request, target)
    if kind is PROJECT_USAGE and verb in ("get", "list"):
        return Wish("list", POD.group, POD.plural, target.namespace)
    fields = _fields(request, target) if verb in _MANY else NO_FIELDS
    name = target.name or fields.get("metadata.name", "")
    namespace = target.name if kind is NAMESPACE else target.namespace
    return Wish(verb, kind.group, kind.plural, namespace, name, target.subresource, fields)


def _fields(request: Request, target: Target) -> Mapping[str, str]:
    """What a selector gives one value each; of one that is none, nothing."""
    text = request.param("fieldSelector")
    if not text:
        return NO_FIELDS
    try:
        return parse_fields(target.kind, text).exact or NO_FIELDS
    except BadRequest:
        return NO_FIELDS


def wish_of_unknown(request: Request) -> Wish | None:
    """Of a path that means a resource which is not served; None if it means none at all."""
    root, *parts = request.path.strip("/").split("/")
    group = parts.pop(0) if root == "apis" and parts else ""
    if root not in ("api", "apis") or len(parts) < 2:
        return None
    _version, resource, *rest = parts
    namespace = ""
    if resource == "namespaces" and rest:
        namespace = rest[0]
        if len(rest) > 1 and rest[1] not in _OF_NAMESPACES:
            _, resource, *rest = rest
    name, subresource = (*rest[:2], "", "")[:2]
    verb = VERBS.get((request.method, "object" if name else "collection"), "")
    return Wish(verb, group, resource, namespace, name, subresource)
