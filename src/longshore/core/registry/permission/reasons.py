"""Why somebody may: the binding, in upstream's words (pkg/registry/rbac/validation/rule.go)."""

from __future__ import annotations

from longshore.base.users import User, account_user
from longshore.core.objects.kinds import CLUSTER_ROLE_BINDING, ROLE_BINDING, Doc, Kind
from longshore.core.registry.permission.roles import Held
from longshore.core.watch.cache import Cache


def reason_of(cache: Cache, held: Held, who: User) -> str:
    kind: Kind = ROLE_BINDING if held.namespace else CLUSTER_ROLE_BINDING
    stored = cache.shelf(kind).get(held.binding)
    assert stored is not None, held.binding
    doc = stored.doc
    ref = doc["roleRef"]
    named = f"{doc['metadata']['name']}/{held.namespace}" if held.namespace else stored.name
    subject = next(s for s in doc["subjects"] if _means(s, who, held.namespace))
    return (
        f'RBAC: allowed by {kind.name} "{named}" of {ref["kind"]} "{ref["name"]}" '
        f"to {_described(subject, held.namespace)}"
    )


def _means(subject: Doc, who: User, namespace: str) -> bool:
    if subject["kind"] == "Group":
        return subject["name"] in who.groups
    if subject["kind"] == "User":
        return bool(subject["name"] == who.name)
    return account_user(subject.get("namespace") or namespace, subject["name"]) == who.name


def _described(subject: Doc, namespace: str) -> str:
    if subject["kind"] != "ServiceAccount":
        return f'{subject["kind"]} "{subject["name"]}"'
    return f'ServiceAccount "{subject["name"]}/{subject.get("namespace") or namespace}"'
