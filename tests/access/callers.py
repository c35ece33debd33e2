"""A cluster with a team, two nodes and a pod that needs things, and everybody who asks there."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from longshore.base.chance import Chance
from longshore.base.users import User, account_user
from longshore.core.objects.kinds import Doc
from longshore.core.objects.rbac import controllers
from longshore.core.objects.rbac.form import rule as rule_of
from longshore.core.pki.token_keys import TokenKeys
from longshore.core.registry.client import Bind
from longshore.core.registry.identity.tokens import Tokens, groups_of
from longshore.doors.kubernetes.door import DoorConfig, KubernetesDoor
from tests.access.rules import (
    ELSEWHERE,
    TEAM,
    Rule,
    administering,
    at_home,
    being_controller,
    editing,
    everything,
    nothing,
    oneself,
    viewing,
)
from tests.doors.rig import ADMIN, Kube, kube, pod
from tests.permission.rig import RBAC, binding, made

AUTHENTICATED = ("system:authenticated",)
ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))
UNBOUND = User("nobody", AUTHENTICATED)
VIEWER, EDITOR, TEAM_ADMIN = (User(name, AUTHENTICATED) for name in ("view", "edit", "admin"))
PEOPLE: dict[str, tuple[User, Rule]] = {
    "anonymous": (ANONYMOUS, nothing),
    "unbound": (UNBOUND, oneself),
    "viewer": (VIEWER, at_home(viewing)),
    "editor": (EDITOR, at_home(editing)),
    "admin": (TEAM_ADMIN, at_home(administering)),
    "cluster-admin": (User("root", ("ops", *AUTHENTICATED)), everything),
    "master": (ADMIN, everything),
}
CONTROLLERS: dict[str, tuple[User, Rule]] = {
    account: (
        User(account_user("kube-system", account), groups_of("kube-system")),
        being_controller([rule_of(row) for row in rows]),
    )
    for account, rows in controllers.ROLES.items()
}


@contextlib.asynccontextmanager
async def cluster(folder: Path) -> AsyncIterator[Kube]:
    """folder is where the keys of tokens are."""
    async with kube(roles=True) as ask:
        keys = TokenKeys(folder, ask.clock).read()
        tokens = Tokens(ask.registry, ask.clock, Chance.seeded("tokens"), keys)
        config = DoorConfig(tokens=tokens)
        ask.door = KubernetesDoor(ask.registry, ask.clock, Chance.seeded("door"), config)
        await _team(ask)
        yield ask


async def _team(ask: Kube) -> None:
    for name in (TEAM, ELSEWHERE):
        await made(ask, "/api/v1/namespaces", {"metadata": {"name": name}})
    for who in (VIEWER, EDITOR, TEAM_ADMIN):
        path = f"{RBAC}/namespaces/{TEAM}/rolebindings"
        await made(ask, path, binding(who.name, who.name, f"user:{who.name}"))
    bound = binding("ops", "cluster-admin", "group:ops")
    await made(ask, f"{RBAC}/clusterrolebindings", bound)
    for name in ("n1", "n2"):
        await made(ask, "/api/v1/nodes", {"metadata": {"name": name}})
    here = f"/api/v1/namespaces/{TEAM}"
    await made(ask, f"{here}/serviceaccounts", {"metadata": {"name": "mine"}})
    await made(ask, f"{here}/pods", needy())
    await ask.registry.bind(ADMIN, Bind(TEAM, "mine", "n1"))


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
