"""The access matrix: every verb of every resource for every kind of caller, asked through the door and
compared with what a dozen rules say. The rules are about words of the API, not about our tables."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import NamedTuple

import pytest

from longshore.base.users import User, account_user
from longshore.core.objects.kinds import ALL_VERBS, KINDS, Doc, Kind
from longshore.core.objects.rbac import controllers
from longshore.core.objects.rbac.form import rule as rule_of
from longshore.core.registry.client import Bind
from longshore.core.registry.tokens import groups_of
from tests.doors.rig import ADMIN, Kube, kube, pod
from tests.permission.rig import RBAC, binding, made, node

pytestmark = pytest.mark.slow

READ, WRITE = frozenset({"get", "list", "watch"}), frozenset(ALL_VERBS) - {"get", "list", "watch"}
AUTHENTICATED = ("system:authenticated",)
REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


class Cell(NamedTuple):
    """One question: may somebody do that, to an object of that name if it is about one?"""

    verb: str
    group: str
    plural: str
    below: str
    namespaced: bool
    name: str = ""

    @property
    def resource(self) -> str:
        return f"{self.plural}/{self.below}" if self.below else self.plural


def cells(*names: str) -> Iterator[Cell]:
    for kind in KINDS:
        for below in ("", *kind.subresources):
            for verb in ALL_VERBS:
                for name in names or ("",):
                    yield Cell(verb, kind.group, kind.plural, below, kind.namespaced, name)


# --- the rules ---

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
    "controllerrevisions",
}  # fmt: skip


def everything(_: Cell) -> bool:
    return True


def nothing(_: Cell) -> bool:
    return False


def oneself(cell: Cell) -> bool:
    """Everybody who proved who they are may ask about themselves, and nothing else."""
    return cell.verb == "create" and cell.plural in SELF


def viewing(cell: Cell) -> bool:
    """A viewer reads what is in the namespace, but no secrets, no rights, and nothing that acts."""
    hidden = cell.plural in SECRETIVE | UNUSUAL or cell.below in ACTING
    return oneself(cell) or (cell.namespaced and cell.verb in READ and not hidden)


def editing(cell: Cell) -> bool:
    """An editor writes, runs and scales what people make, reads secrets, and changes no rights,
    limits, or what machines say."""
    if cell.resource in ("pods/eviction", "serviceaccounts/token"):
        return cell.verb == "create"
    foreign = cell.plural in {"roles", "rolebindings"} | UNUSUAL | MADE_BY_MACHINES
    theirs = cell.below in ("", "scale", "attach", "exec", "portforward", "proxy")
    return viewing(cell) or (cell.namespaced and theirs and not foreign)


def administering(cell: Cell) -> bool:
    """Who administers a namespace also gives rights in it, and asks about those of others."""
    if cell.plural in ("roles", "rolebindings"):
        return True
    reviewing = cell.plural == "localsubjectaccessreviews" and cell.verb == "create"
    return editing(cell) or reviewing


def being_a_node(needed: str) -> Callable[[Cell], bool]:
    """A node reports about itself and its pods, and reads what its pods need by name."""

    def may(cell: Cell) -> bool:
        if oneself(cell) or cell.verb in NODE_MAY.get(cell.resource, ()):
            return True
        wanted = cell.verb in NODE_MAY_IF_NEEDED.get(cell.resource, ())
        return wanted and cell.name == needed != ""

    return may


CHANGED = {"update", "patch"}
NODE_MAY: dict[str, set[str] | frozenset[str]] = {
    "tokenreviews": {"create"}, "subjectaccessreviews": {"create"},
    "localsubjectaccessreviews": {"create"}, "events": {"create", *CHANGED},
    "services": READ, "endpoints": {"get"}, "endpointslices": {"list", "watch"},
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


def being_controller(rows: list[Doc]) -> Callable[[Cell], bool]:
    """A controller may what its line in upstream's policy says, and what all accounts may."""

    def may(cell: Cell) -> bool:
        trusts = cell.resource == "clustertrustbundles" and cell.verb in READ
        return oneself(cell) or trusts or any(_is_said(cell, row) for row in rows)

    return may


def _is_said(cell: Cell, row: Doc) -> bool:
    if "resourceNames" in row and cell.name not in row["resourceNames"]:
        return False
    resources = {cell.resource, "*"} | ({f"*/{cell.below}"} if cell.below else set())
    said = (({cell.verb, "*"}, "verbs"), ({cell.group, "*"}, "apiGroups"), (resources, "resources"))
    return all(words & {*row[field]} for words, field in said)


# --- the callers ---

TEAM = "team"
PEOPLE: dict[str, tuple[User, Callable[[Cell], bool]]] = {
    "anonymous": (User("system:anonymous", ("system:unauthenticated",)), nothing),
    "unbound": (User("nobody", AUTHENTICATED), oneself),
    "viewer": (User("view", AUTHENTICATED), viewing),
    "editor": (User("edit", AUTHENTICATED), editing),
    "admin": (User("admin", AUTHENTICATED), administering),
    "cluster-admin": (User("root", ("ops", *AUTHENTICATED)), everything),
    "master": (ADMIN, everything),
}


@pytest.fixture
async def team() -> AsyncIterator[Kube]:
    """A namespace with a viewer, an editor and an admin, two nodes, and a pod that needs things."""
    async with kube(roles=True) as ask:
        await made(ask, "/api/v1/namespaces", {"metadata": {"name": TEAM}})
        for role in ("view", "edit", "admin"):
            path = f"{RBAC}/namespaces/{TEAM}/rolebindings"
            await made(ask, path, binding(role, role, f"user:{role}"))
        bound = binding("ops", "cluster-admin", "group:ops")
        await made(ask, f"{RBAC}/clusterrolebindings", bound)
        for name in ("n1", "n2"):
            await made(ask, "/api/v1/nodes", {"metadata": {"name": name}})
        here = f"/api/v1/namespaces/{TEAM}"
        await made(ask, f"{here}/serviceaccounts", {"metadata": {"name": "mine"}})
        await made(ask, f"{here}/pods", needy())
        await ask.registry.bind(ADMIN, Bind(TEAM, "mine", "n1"))
        yield ask


def needy() -> Doc:
    """A pod that refers to one of each, all of the name mine."""
    doc = pod("mine")
    doc["spec"] |= {
        "serviceAccountName": "mine",
        "volumes": [
            {"name": "a", "secret": {"secretName": "mine"}},
            {"name": "b", "configMap": {"name": "mine"}},
            {"name": "c", "persistentVolumeClaim": {"claimName": "mine"}},
        ],
    }
    return doc


async def wrong(
    ask: Kube, who: User, expected: Callable[[Cell], bool], *names: str
) -> list[tuple[Cell, str]]:
    """The cells in which the door and the rules differ."""
    found = []
    for cell in cells(*names):
        attributes = {
            "verb": cell.verb, "group": cell.group, "resource": cell.plural,
            "subresource": cell.below, "name": cell.name,
            "namespace": TEAM if cell.namespaced else "",
        }  # fmt: skip
        spec = {"user": who.name, "groups": list(who.groups), "resourceAttributes": attributes}
        answer = await ask("POST", REVIEWS, {"spec": spec})
        assert answer.status == 201, answer.doc
        if answer.doc["status"]["allowed"] is not expected(cell):
            found.append((cell, answer.doc["status"].get("reason", "")))
    return found


def test_the_matrix_is_large() -> None:
    callers = len(PEOPLE) + 2 * 3 + len(controllers.ROLES)
    assert len(list(cells())) * callers >= 20_000


@pytest.mark.parametrize("caller", PEOPLE)
async def test_people(team: Kube, caller: str) -> None:
    who, expected = PEOPLE[caller]
    assert await wrong(team, who, expected) == []


@pytest.mark.parametrize(("name", "needed"), [("n1", "mine"), ("n2", "")])
async def test_nodes(team: Kube, name: str, needed: str) -> None:
    assert await wrong(team, node(name), being_a_node(needed), "", "mine", "foreign") == []


@pytest.mark.parametrize("account", controllers.ROLES)
async def test_controllers(team: Kube, account: str) -> None:
    who = User(account_user("kube-system", account), groups_of("kube-system"))
    rows = [rule_of(row) for row in controllers.ROLES[account]]
    assert await wrong(team, who, being_controller(rows)) == []


async def test_what_reviews_say_is_what_happens(team: Kube) -> None:
    """Lists and gets themselves are refused exactly where the rules say so."""
    differ = []
    for who, expected in PEOPLE.values():
        for kind in KINDS:
            for verb, path in _paths(kind):
                team.user = who
                status = (await team("GET", path)).status
                cell = Cell(verb, kind.group, kind.plural, "", kind.namespaced)
                if (status != 403) is not expected(cell):
                    differ.append((who.name, path, status))
    team.user = ADMIN
    assert differ == []


def _paths(kind: Kind) -> Iterator[tuple[str, str]]:
    root = f"/apis/{kind.api_version}" if kind.group else "/api/v1"
    place = f"{root}/namespaces/{TEAM}" if kind.namespaced else root
    for verb in {"get", "list"} & {*kind.verbs}:
        # Of namespaces the one that is asked for is nobody's, not the team's own.
        yield verb, f"{place}/{kind.plural}" + ("/nothing" if verb == "get" else "")
