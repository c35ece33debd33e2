"""Remembers how requests are classified, as long as no schema and no level changes."""

from __future__ import annotations

from collections.abc import Hashable

from longshore.base.users import User
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.reads import Reader
from longshore.doors.kit.http import Request
from longshore.doors.kubernetes.fairness.plan import Asked, classify, ordered
from longshore.doors.kubernetes.translate import Target, flag

_KNOWN_MAX = 4096
_SCHEMA, _LEVEL = "X-Kubernetes-PF-FlowSchema-UID", "X-Kubernetes-PF-PriorityLevel-UID"
_VERBS = {
    ("GET", "object"): "get", ("HEAD", "object"): "get",
    ("GET", "collection"): "list", ("HEAD", "collection"): "list",
    ("POST", "collection"): "create", ("POST", "object"): "create",
    ("PUT", "object"): "update", ("PATCH", "object"): "patch",
    ("DELETE", "object"): "delete", ("DELETE", "collection"): "deletecollection",
}  # fmt: skip


class Classifier:
    """Tells the headers by which clients learn how their requests are classified."""

    def __init__(self, registry: Reader) -> None:
        self._registry = registry
        self._seen: tuple[int, int] = (-1, -1)
        self._schemas: list[Doc] = []
        self._levels: dict[str, Doc] = {}
        self._known: dict[Hashable, dict[str, str]] = {}

    def headers(self, who: User, request: Request, target: Target | None) -> dict[str, str]:
        """Of the answer; none where no schema matches. To be copied, not changed."""
        self._follow()
        key = _key(who, request, target)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _KNOWN_MAX:
                self._known.clear()
            found = self._known[key] = self._headers(who, _asked(request, target))
        return found

    def _headers(self, who: User, asked: Asked) -> dict[str, str]:
        flow = classify(who, asked, self._schemas, self._levels)
        return {} if flow is None else {_SCHEMA: flow.schema_uid, _LEVEL: flow.level_uid}

    def _follow(self) -> None:
        """Forget everything when a schema or a level has changed since."""
        newest = self._newest(kinds.FLOW_SCHEMA), self._newest(kinds.PRIORITY_LEVEL)
        if newest == self._seen:
            return
        self._seen = newest
        self._known.clear()
        self._schemas = ordered(self._all(kinds.FLOW_SCHEMA))
        self._levels = {doc["metadata"]["name"]: doc for doc in self._all(kinds.PRIORITY_LEVEL)}

    def _newest(self, kind: Kind) -> int:
        """The revision of a kind's last change that is known of."""
        return self._registry.cache.shelf(kind).history.newest

    def _all(self, kind: Kind) -> list[Doc]:
        return [stored.doc for stored in self._registry.cache.shelf(kind).range(kind.prefix)]


def _key(who: User, request: Request, target: Target | None) -> Hashable:
    """Everything that _asked looks at, without making anything of it."""
    if target is None:
        return who, request.method, request.path
    watches = "watch" in request.query and flag(request.query, "watch")
    return (
        who, request.method, target.kind, target.namespace, not target.name, target.subresource,
        watches,
    )  # fmt: skip


def _asked(request: Request, target: Target | None) -> Asked:
    if target is None:
        return Asked(request.method.lower(), path=request.path)
    verb = _VERBS.get((request.method, target.shape), request.method.lower())
    if verb in ("get", "list") and flag(request.query, "watch"):
        verb = "watch"
    kind, below = target.kind, target.subresource
    resource = f"{kind.plural}/{below}" if below else kind.plural
    return Asked(verb, kind.group, resource, target.namespace)
