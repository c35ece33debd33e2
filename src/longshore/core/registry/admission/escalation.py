"""Nobody gives away more than they hold: writes of roles and bindings by those who may write them.

Rules: pkg/registry/rbac (escalation_check.go, */policybased/storage.go) of Kubernetes. This is no
plug-in of admission there and cannot be switched off.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from longshore.base.users import User
from longshore.core.objects.errors import NotFound
from longshore.core.objects.kinds import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    ROLE,
    ROLE_BINDING,
    Doc,
    Kind,
)
from longshore.core.objects.rbac.covering import described, quoted, uncovered
from longshore.core.registry.admission.attributes import Attributes, Hook, Hooks
from longshore.core.registry.permission.authorizer import Authorizer
from longshore.core.registry.wishes import Wish

_VERBS = ("create", "update")
_FULL = (
    {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
    {"verbs": ["*"], "nonResourceURLs": ["*"]},
)
# Fields of metadata by which the garbage collector works: who may change them need not hold more.
_COLLECTORS = ("ownerReferences", "finalizers", "managedFields", "resourceVersion", "generation")


def hooks(permission: Authorizer) -> Hooks:
    role, binding = partial(_check_role, permission), partial(_check_binding, permission)
    return Hooks(
        checks=(
            Hook(role, (ROLE, CLUSTER_ROLE), _VERBS),
            Hook(binding, (ROLE_BINDING, CLUSTER_ROLE_BINDING), _VERBS),
        )
    )


def _check_role(permission: Authorizer, request: Attributes) -> None:
    who, kind = request.who, request.kind
    if who is None or who.is_master or _is_collecting(request):
        return
    # A new object's name is not part of what is authorised.
    name = request.name if request.old is not None else ""
    wish = Wish("escalate", kind.group, kind.plural, request.namespace, name)
    if permission.allowed(who, wish):
        return
    _check_held(permission, request, who, request.doc.get("rules") or ())
    gathers = _gathers(request.doc) or (request.old is not None and _gathers(request.old))
    if gathers and uncovered(permission.holdings(who).rules(""), _FULL):
        raise request.forbidden("must have cluster-admin privileges to use the aggregationRule")


def _check_binding(permission: Authorizer, request: Attributes) -> None:
    who, doc = request.who, request.doc
    if who is None or who.is_master or _is_collecting(request):
        return
    ref = doc.get("roleRef") or {}
    kind = _referred(ref)
    if kind is None:
        return  # which the rules of bindings refuse
    if permission.allowed(who, _to_bind(kind, ref.get("name", ""), request.namespace)):
        return
    role = permission.role(doc)
    if role is None:
        raise NotFound.of(kind, ref.get("name", ""))
    _check_held(permission, request, who, role.rules)


def _referred(ref: Doc) -> Kind | None:
    if ref.get("apiGroup") != ROLE.group:
        return None
    return {ROLE.name: ROLE, CLUSTER_ROLE.name: CLUSTER_ROLE}.get(ref.get("kind", ""))


def _to_bind(kind: Kind, name: str, namespace: str) -> Wish:
    return Wish("bind", kind.group, kind.plural, namespace, name)


def _check_held(
    permission: Authorizer, request: Attributes, who: User, wanted: Sequence[Doc]
) -> None:
    missing = uncovered(permission.holdings(who).rules(request.namespace), wanted)
    if missing:
        raise request.forbidden(
            f'user "{who.name}" (groups={quoted(who.groups)}) is attempting to grant RBAC '
            f"permissions not currently held:\n{described(missing)}"
        )


def _gathers(role: Doc) -> bool:
    return bool((role.get("aggregationRule") or {}).get("clusterRoleSelectors"))


def _is_collecting(request: Attributes) -> bool:
    """Whether nothing changes but what the garbage collector needs to change."""
    return request.old is not None and _kept(request.doc) == _kept(request.old)


def _kept(doc: Doc) -> Doc:
    metadata = {key: value for key, value in doc["metadata"].items() if key not in _COLLECTORS}
    return {**doc, "metadata": metadata}
