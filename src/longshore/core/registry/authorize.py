"""Who may do what. Known so far are masters, nodes, and everybody who proved who they are.

A node may do what its agent needs (the list follows the Node authoriser's documentation,
kubernetes.io/docs/reference/access-authn-authz/node); everybody may ask about themselves and read
what is served (upstream's roles system:basic-user, system:discovery, system:public-info-viewer and
system:service-account-issuer-discovery); all else is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from longshore.base.users import User
from longshore.core.objects import kinds
from longshore.core.objects.errors import Forbidden
from longshore.core.objects.kinds import KINDS, Doc, Kind

NODE_GROUP = "system:nodes"
NODE_PREFIX = "system:node:"
AUTHENTICATED = "system:authenticated"
SERVICE_ACCOUNTS = "system:serviceaccounts"

_READ = frozenset({"get", "list", "watch"})
_NODE_READS = frozenset(
    kind.prefix
    for kind in (
        kinds.POD, kinds.SERVICE, kinds.ENDPOINTS, kinds.ENDPOINT_SLICE, kinds.NODE, kinds.LEASE,
        kinds.NAMESPACE, kinds.SERVICE_ACCOUNT,
    )
)  # fmt: skip
# By name only: an agent knows what its pods refer to and has no use for the others.
_NODE_GETS = frozenset({kinds.CONFIG_MAP.prefix, kinds.SECRET.prefix})
_NODE_WRITES = frozenset({
    (kinds.POD.prefix, "status", "update"), (kinds.POD.prefix, "status", "patch"),
    (kinds.POD.prefix, "", "delete"),
    (kinds.EVENT.prefix, "", "create"), (kinds.EVENT.prefix, "", "patch"),
    (kinds.EVENT.prefix, "", "update"),
})  # fmt: skip
_NODE_OWN = frozenset({
    (kinds.NODE.prefix, "", "create"), (kinds.NODE.prefix, "", "update"),
    (kinds.NODE.prefix, "", "patch"), (kinds.NODE.prefix, "status", "update"),
    (kinds.NODE.prefix, "status", "patch"),
    (kinds.LEASE.prefix, "", "create"), (kinds.LEASE.prefix, "", "update"),
    (kinds.LEASE.prefix, "", "patch"),
})  # fmt: skip
_ABOUT_ONESELF = frozenset(
    kind.prefix
    for kind in (
        kinds.SELF_SUBJECT_REVIEW, kinds.SELF_SUBJECT_ACCESS_REVIEW, kinds.SELF_SUBJECT_RULES_REVIEW,
    )
)  # fmt: skip
PUBLIC_PATHS = ("/healthz", "/livez", "/readyz", "/version", "/version/")
_DISCOVERY = ("/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*", *PUBLIC_PATHS)
_ISSUER = (
    "/.well-known/openid-configuration", "/.well-known/openid-configuration/",
    "/openid/v1/jwks", "/openid/v1/jwks/",
)  # fmt: skip
_PREFIXES = {(kind.group, kind.plural): kind.prefix for kind in KINDS}
_NAMES = {kind.prefix: kind for kind in KINDS if kind.hub is None}


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to do to a resource, in the terms of a SubjectAccessReview."""

    verb: str
    group: str
    resource: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""


def authorize(
    who: User, verb: str, kind: Kind, namespace: str, name: str, subresource: str = ""
) -> None:
    """Return if the caller may; raise Forbidden in Kubernetes' words if not."""
    if who.is_master or _may(who, verb, kind.prefix, name, subresource):
        return
    wish = Wish(verb, kind.group, kind.plural, namespace, name, subresource)
    raise forbidden(who, wish, kind)


def allowed(who: User, wish: Wish) -> bool:
    """Whether the caller may do that, be the resource served here or not."""
    prefix = _PREFIXES.get((wish.group, wish.resource), "")
    return who.is_master or _may(who, wish.verb, prefix, wish.name, wish.subresource)


def allowed_path(who: User, verb: str, path: str) -> bool:
    """Whether the caller may ask for a path that is no resource's."""
    if who.is_master:
        return True
    return verb in ("get", "head") and any(_covers(one, path) for one in _paths(who))


def authorize_path(who: User, verb: str, path: str) -> None:
    """Return if the caller may ask for a path that is no resource's; raise Forbidden if not."""
    if not allowed_path(who, verb, path):
        raise Forbidden(f'forbidden: User "{who.name}" cannot {verb} path "{path}"')


def forbidden(who: User, wish: Wish, kind: Kind | None = None) -> Forbidden:
    """In upstream's words (apiserver/pkg/endpoints/handlers/responsewriters/errors.go)."""
    qualified = f"{wish.resource}.{wish.group}" if wish.group else wish.resource
    resource = f"{wish.resource}/{wish.subresource}" if wish.subresource else wish.resource
    where = f'in the namespace "{wish.namespace}"' if wish.namespace else "at the cluster scope"
    named = f' "{wish.name}"' if wish.name else ""
    return Forbidden(
        f'{qualified}{named} is forbidden: User "{who.name}" cannot {wish.verb} resource '
        f'"{resource}" in API group "{wish.group}" {where}',
        kind=kind,
        name=wish.name,
    )


def rules_of(who: User) -> tuple[list[Doc], list[Doc]]:
    """All that the caller may do, as a SelfSubjectRulesReview tells it: rules about resources,
    and rules about other paths."""
    if who.is_master:
        everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
        return [everything], [{"verbs": ["*"], "nonResourceURLs": ["*"]}]
    rules: list[Doc] = []
    if AUTHENTICATED in who.groups:
        rules += [_rule(prefix, "", ["create"]) for prefix in sorted(_ABOUT_ONESELF)]
    if _is_node(who):
        rules += _node_rules(who.name.removeprefix(NODE_PREFIX))
    paths = sorted(_paths(who))
    return rules, [{"verbs": ["get"], "nonResourceURLs": paths}] if paths else []


def _may(who: User, verb: str, prefix: str, name: str, subresource: str) -> bool:
    if prefix in _ABOUT_ONESELF and verb == "create" and AUTHENTICATED in who.groups:
        return not subresource
    return _is_node(who) and _node_may(who, verb, prefix, name, subresource)


def _is_node(who: User) -> bool:
    return NODE_GROUP in who.groups and who.name.startswith(NODE_PREFIX)


def _node_may(who: User, verb: str, prefix: str, name: str, subresource: str) -> bool:
    if verb in _READ and not subresource:
        return prefix in _NODE_READS or (verb == "get" and prefix in _NODE_GETS)
    wish = (prefix, subresource, verb)
    if wish in _NODE_OWN:
        return name == who.name.removeprefix(NODE_PREFIX)
    return wish in _NODE_WRITES


def _node_rules(node: str) -> list[Doc]:
    reads = [_rule(prefix, "", sorted(_READ)) for prefix in sorted(_NODE_READS)]
    gets = [_rule(prefix, "", ["get"]) for prefix in sorted(_NODE_GETS)]
    writes = [_rule(prefix, part, [verb]) for prefix, part, verb in sorted(_NODE_WRITES)]
    own = [_rule(prefix, part, [verb], node) for prefix, part, verb in sorted(_NODE_OWN)]
    return reads + gets + writes + own


def _rule(prefix: str, subresource: str, verbs: list[str], name: str = "") -> Doc:
    kind = _NAMES[prefix]
    resource = f"{kind.plural}/{subresource}" if subresource else kind.plural
    rule: Doc = {"verbs": verbs, "apiGroups": [kind.group], "resources": [resource]}
    return {**rule, "resourceNames": [name]} if name else rule


def _paths(who: User) -> Iterable[str]:
    if SERVICE_ACCOUNTS in who.groups:
        return _DISCOVERY + _ISSUER
    return _DISCOVERY if AUTHENTICATED in who.groups else PUBLIC_PATHS


def _covers(pattern: str, path: str) -> bool:
    if pattern.endswith("*"):
        return path.startswith(pattern[:-1])
    return path == pattern
