"""What would be enough to take a cluster over, and the few controllers that may do it: all others are
refused, whatever the tables of roles say."""

from __future__ import annotations

from pathlib import Path

from longshore.base.users import User, account_user
from longshore.core.objects.kinds import KINDS
from longshore.core.registry.identity.tokens import groups_of
from tests.access import callers
from tests.access.asking import is_let_in
from tests.access.callers import CONTROLLERS
from tests.access.rules import EVERYWHERE, TEAM, Cell

COLLECTOR, NAMESPACES = "generic-garbage-collector", "namespace-controller"
MIGRATOR, QUOTAS = "storage-version-migrator-controller", "resourcequota-controller"
WORKLOADS = {
    "daemon-set-controller", "job-controller", "replicaset-controller", "replication-controller",
    "statefulset-controller",
}  # fmt: skip
RBAC_KINDS = ("roles", "rolebindings", "clusterroles", "clusterrolebindings")
POWERS: dict[str, set[str]] = {
    "get secrets": {COLLECTOR, NAMESPACES},
    "list secrets": {COLLECTOR, NAMESPACES, MIGRATOR, QUOTAS},
    "create secrets": set(),
    "create serviceaccounts/token": set(),
    "create serviceaccounts": {"service-account-controller"},
    "create pods/exec": set(),
    "create pods/attach": set(),
    "create pods/proxy": set(),
    "create nodes/proxy": set(),
    "update pods/ephemeralcontainers": {COLLECTOR},
    "create pods": {*WORKLOADS, "persistent-volume-binder"},
    "create pods/binding": {"daemon-set-controller"},
    "create persistentvolumes": {"persistent-volume-binder"},
    "update certificatesigningrequests/approval": {COLLECTOR, "certificate-controller"},
    "delete nodes": {COLLECTOR, NAMESPACES, "node-controller"},
    "update clusterroles": {COLLECTOR, "clusterrole-aggregation-controller"},
    "update clusterrolebindings": {COLLECTOR},
    **{f"create {plural}": set() for plural in RBAC_KINDS},
}


def cell_of(power: str) -> Cell:
    verb, _, resource = power.partition(" ")
    plural, _, below = resource.partition("/")
    kind = next(kind for kind in KINDS if kind.plural == plural)
    return Cell(verb, kind, below, TEAM if kind.namespaced else EVERYWHERE)


async def test_only_a_few_have_them(tmp_path: Path) -> None:
    async with callers.cluster(tmp_path) as ask:
        for power, few in POWERS.items():
            allowed = {
                account
                for account, (who, _) in CONTROLLERS.items()
                if await is_let_in(ask, who, cell_of(power))
            }
            assert allowed == few, power


async def test_an_account_of_the_same_name_elsewhere_has_none(tmp_path: Path) -> None:
    """Rights go with the namespace of an account: tenants may call theirs as they like."""
    async with callers.cluster(tmp_path) as ask:
        for namespace in ("default", "kube-system2", "kube-syste"):
            for account in (COLLECTOR, NAMESPACES, "clusterrole-aggregation-controller"):
                who = User(account_user(namespace, account), groups_of(namespace))
                for power in POWERS:
                    assert await is_let_in(ask, who, cell_of(power)) is False
