"""Who may do what, in a dozen rules. They are about words of the API, and copy no table of roles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

from longshore.core.objects.kinds import ALL_VERBS, KINDS, Doc, Kind

TEAM, ELSEWHERE, EVERYWHERE = "team", "elsewhere", ""
"""Where tenants have rights, where they have none, and all namespaces together."""
READ = frozenset({"get", "list", "watch"})


class Cell(NamedTuple):
    """One question: may somebody do that there, to an object of that name if it is about one?"""

    verb: str
    kind: Kind
    below: str
    namespace: str = TEAM
    name: str = ""

    def __repr__(self) -> str:
        return f"{self.verb} {self.resource} {self.name!r} in {self.namespace!r}"

    @property
    def plural(self) -> str:
        return self.kind.plural

    @property
    def resource(self) -> str:
        return f"{self.plural}/{self.below}" if self.below else self.plural


Rule: TypeAlias = Callable[[Cell], bool]


def cells(namespace: str = TEAM, name: str = "") -> Iterator[Cell]:
    """Every verb of every resource and subresource that there is."""
    for kind in KINDS:
        for below in ("", *kind.subresources):
            for verb in ALL_VERBS:
                yield Cell(verb, kind, below, namespace if kind.namespaced else "", name)


# --- people ---

SELF = {"selfsubjectreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews"}
ACTING = {
    "attach", "binding", "ephemeralcontainers", "eviction", "exec", "portforward", "proxy",
    "resize", "token",
}  # fmt: skip
SECRETIVE = {"secrets", "roles", "rolebindings", "leases"}
UNUSUAL = {
    "podtemplates", "csistoragecapacities", "podcertificaterequests", "localsubjectaccessreviews",
}  # fmt: skip
MADE_BY_MACHINES = {
    "bindings", "endpoints", "endpointslices", "limitranges", "resourcequotas",
    "controllerrevisions", "workloadusages",
}  # fmt: skip
GIVEN_BY_ADMINISTRATORS = {"localqueues"}


def everything(_: Cell) -> bool:
    return True


def nothing(_: Cell) -> bool:
    return False


def oneself(cell: Cell) -> bool:
    """Everybody who proved who they are may ask about themselves, and nothing else."""
    return cell.verb == "create" and cell.plural in SELF


def at_home(rule: Rule) -> Rule:
    """Rights in a namespace are none elsewhere, and none to all namespaces together. Of the
    namespaces, one's own is seen."""

    def may(cell: Cell) -> bool:
        if cell.plural == "namespaces":
            return cell.verb == "get" and cell.name == TEAM and cell.below in ("", "status")
        return oneself(cell) or (cell.kind.namespaced and cell.namespace == TEAM and rule(cell))

    return may


def viewing(cell: Cell) -> bool:
    """A viewer reads what is in the namespace, but no secrets, no rights, and nothing that acts."""
    hidden = cell.plural in SECRETIVE | UNUSUAL or cell.below in ACTING
    return cell.verb in READ and not hidden


def editing(cell: Cell) -> bool:
    """An editor writes, runs and scales what people make, reads secrets, and changes no rights,
    limits, or what machines say."""
    if cell.resource in ("pods/eviction", "serviceaccounts/token"):
        return cell.verb == "create"
    made = MADE_BY_MACHINES | GIVEN_BY_ADMINISTRATORS
    foreign = cell.plural in {"roles", "rolebindings"} | UNUSUAL | made
    theirs = cell.below in ("", "scale", "attach", "exec", "portforward", "proxy")
    return viewing(cell) or (theirs and not foreign)


def administering(cell: Cell) -> bool:
    """Who administers a namespace also gives rights in it, and asks about those of others."""
    if cell.plural in ("roles", "rolebindings"):
        return True
    reviewing = cell.plural == "localsubjectaccessreviews" and cell.verb == "create"
    return editing(cell) or reviewing


# --- machines ---


def being_a_node(needed: str) -> Rule:
    """A node reports about itself and its pods, and reads what its pods need, by name and where they
    are."""

    def may(cell: Cell) -> bool:
        if oneself(cell) or cell.verb in NODE_MAY.get(cell.resource, ()):
            return True
        wanted = cell.verb in NODE_MAY_IF_NEEDED.get(cell.resource, ())
        return wanted and cell.namespace == TEAM and cell.name == needed != ""

    return may


CHANGED = {"update", "patch"}
NODE_MAY: dict[str, set[str] | frozenset[str]] = {
    "tokenreviews": {"create"}, "subjectaccessreviews": {"create"},
    "localsubjectaccessreviews": {"create"}, "events": {"create", *CHANGED},
    "services": READ, "endpoints": {"get"}, "endpointslices": {"list", "watch"},
    "networkpolicies": {"list", "watch"},
    "csidrivers": READ, "runtimeclasses": READ, "clustertrustbundles": READ,
    "nodes": {"create", *CHANGED}, "nodes/status": CHANGED,
    "pods": {"create", "delete"}, "pods/status": CHANGED, "pods/eviction": {"create"},
    "certificatesigningrequests": {"create", *READ}, "podcertificaterequests": {"create"},
    "csinodes": {"create"}, "resourceslices": {"create"},
}  # fmt: skip
NODE_MAY_IF_NEEDED: dict[str, set[str] | frozenset[str]] = {
    "secrets": READ, "configmaps": READ, "pods": READ, "persistentvolumeclaims": {"get"},
    "persistentvolumeclaims/status": CHANGED, "serviceaccounts": {"get"},
    "serviceaccounts/token": {"create"},
}  # fmt: skip


def being_controller(rows: list[Doc]) -> Rule:
    """A controller may what its line in upstream's policy says, and what all accounts may."""

    def may(cell: Cell) -> bool:
        trusts = cell.resource == "clustertrustbundles" and cell.verb in READ
        return oneself(cell) or trusts or any(_is_said(cell, row) for row in rows)

    return may


def _is_said(cell: Cell, row: Doc) -> bool:
    if "resourceNames" in row and cell.name not in row["resourceNames"]:
        return False
    resources = {cell.resource, "*"} | ({f"*/{cell.below}"} if cell.below else set())
    said = (
        ({cell.verb, "*"}, "verbs"),
        ({cell.kind.group, "*"}, "apiGroups"),
        (resources, "resources"),
    )
    return all(words & {*row.get(field, ())} for words, field in said)


# --- paths that are no resource's ---

HEALTH = ("/healthz", "/livez", "/readyz", "/version", "/version/")
DISCOVERY = (
    "/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/openapi/v2", "/openapi/v3",
)  # fmt: skip
ISSUER = ("/.well-known/openid-configuration", "/openid/v1/jwks")
OPERATION = (
    "/", "/metrics", "/logs", "/logs/", "/debug/pprof/", "/configz", "/nowhere", "/apis2",
    "/version/more", "/openid", "/.well-known/other",
)  # fmt: skip
PATHS = (*HEALTH, *DISCOVERY, *ISSUER, *OPERATION)
