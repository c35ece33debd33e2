"""Who may do what, as kubectl tells it: other users, accounts with a kubeconfig of their own, roles."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from .driver import Cluster, eventually

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def team(hollow: Cluster) -> Iterator[Cluster]:
    """A cluster in which jane may view, ed may edit the namespace team, and ed may write roles."""
    hollow.kubectl("create", "namespace", "team")
    for user, role in (("jane", "view"), ("ed", "edit")):
        hollow.kubectl(
            "-n", "team", "create", "rolebinding", user, f"--clusterrole={role}", f"--user={user}"
        )
    hollow.kubectl(
        "create", "clusterrole", "role-writer", "--verb=get,list,create,update,patch",
        "--resource=roles,rolebindings,clusterroles,clusterrolebindings",
    )  # fmt: skip
    hollow.kubectl(
        "create", "clusterrolebinding", "role-writer", "--clusterrole=role-writer", "--user=ed"
    )
    yield hollow
    hollow.kubectl("delete", "clusterrolebinding", "role-writer")
    hollow.kubectl("delete", "clusterrole", "role-writer")
    hollow.kubectl("delete", "namespace", "team", "--timeout=120s")


def can(cluster: Cluster, user: str, *words: str) -> bool:
    done = cluster.kubectl_run("auth", "can-i", *words, "--as", user, "-n", "team")
    assert done.stdout.strip() in ("yes", "no"), done
    return done.stdout.strip() == "yes"


def test_can_i_tells_what_happens(team: Cluster) -> None:
    assert can(team, "jane", "list", "pods")
    assert not can(team, "jane", "get", "secrets")
    assert can(team, "ed", "create", "deployments.apps")
    assert not can(team, "ed", "delete", "namespace/team")
    assert not can(team, "nobody", "list", "pods")
    assert can(team, "nobody", "get", "/version")
    team.kubectl("get", "pods", "-n", "team", "--as", "jane")
    said = team.kubectl("get", "pods", "-n", "default", "--as", "jane", code=1)
    assert 'User "jane" cannot list resource "pods" in API group "" in the namespace' in said
    said = team.kubectl("get", "pods", "-n", "team", "--as", "system:anonymous", code=1)
    assert 'User "system:anonymous" cannot list' in said


def test_all_that_one_may_is_listed(team: Cluster) -> None:
    listed = team.kubectl("auth", "can-i", "--list", "-n", "team", "--as", "jane")
    lines = [line.split() for line in listed.splitlines()]
    assert ["pods", "[]", "[]", "[get", "list", "watch]"] in lines
    assert not any(line[0] == "secrets" for line in lines)
    assert any("[/version]" in line for line in lines)


def test_who_am_i(team: Cluster) -> None:
    said = team.kubectl("auth", "whoami", "-o", "json", "--as", "jane", "--as-group", "dev")
    assert json.loads(said)["status"]["userInfo"] == {
        "username": "jane", "groups": ["dev", "system:authenticated"],
    }  # fmt: skip


def test_roles_are_reconciled_by_kubectl(team: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "role.yaml"
    rule = {"apiGroups": [""], "resources": ["services"], "verbs": ["get"]}
    doc = {
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": "reader", "namespace": "team"}, "rules": [rule],
    }  # fmt: skip
    file.write_text(yaml.safe_dump(doc))
    assert "reconciled" in team.kubectl("auth", "reconcile", "-f", str(file))
    rule["verbs"].append("list")
    file.write_text(yaml.safe_dump(doc))
    team.kubectl("auth", "reconcile", "-f", str(file))
    rules = team.get("role", "reader", "-n", "team")["rules"]
    assert {verb for one in rules for verb in one["verbs"]} == {"get", "list"}


def test_nobody_gives_more_than_they_hold(team: Cluster) -> None:
    """ed writes roles, and does not get further by it."""
    own = ("-n", "team", "--as", "ed")
    team.kubectl("create", "role", "pods", "--verb=get", "--resource=pods", *own)
    everything = ("--verb=*", "--resource=*.*")
    for words in (
        ("create", "clusterrole", "all", *everything),
        ("create", "role", "all", *everything),
        ("create", "clusterrolebinding", "me", "--clusterrole=cluster-admin", "--user=ed"),
        ("create", "rolebinding", "me", "--clusterrole=cluster-admin", "--user=ed"),
    ):
        said = team.kubectl(*words, *own, code=1)
        assert "is attempting to grant RBAC permissions not currently held" in said, words
    said = team.kubectl("get", "pods", *own, "--as-group", "system:masters")
    # It is the administrator who takes these on; ed may not.
    assert said == "" or "NAME" in said
    assert not can(team, "ed", "impersonate", "users")


@pytest.fixture
def viewer(team: Cluster, tmp_path: Path) -> Cluster:
    """The cluster as an account that may view it sees it, with a kubeconfig of its own."""
    team.kubectl("create", "serviceaccount", "viewer", "-n", "team")
    team.kubectl(
        "create", "rolebinding", "viewer", "-n", "team", "--clusterrole=view",
        "--serviceaccount=team:viewer",
    )  # fmt: skip
    config = yaml.safe_load(Path(team.kubeconfig).read_text())
    token = team.kubectl("create", "token", "viewer", "-n", "team").strip()
    for user in config["users"]:
        user["user"] = {"token": token}
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    return replace(team, kubeconfig=str(file))


async def test_an_account_with_a_role(team: Cluster, viewer: Cluster) -> None:
    here = ("-n", "team")
    assert viewer.kubectl("auth", "can-i", "list", "pods", *here).strip() == "yes"
    viewer.kubectl("get", "deployments,services,configmaps", *here)
    for words in (("get", "secrets"), ("delete", "pod", "x"), ("create", "configmap", "x")):
        assert "forbidden" in viewer.kubectl(*words, *here, code=1).lower()
    assert "Forbidden" in viewer.kubectl("get", "pods", "-n", "default", code=1)
    team.kubectl("delete", "rolebinding", "viewer", *here)
    assert "Forbidden" in viewer.kubectl("get", "pods", *here, code=1)
    labels = '{"metadata":{"labels":{"rbac.authorization.k8s.io/aggregate-to-view":"true"}}}'
    team.kubectl("create", "clusterrole", "more", "--verb=get,list", "--resource=secrets")
    team.kubectl("patch", "clusterrole", "more", "-p", labels)
    await eventually(lambda: can(team, "jane", "list", "secrets"), "a role is gathered into view")
    team.kubectl("delete", "clusterrole", "more")
    await eventually(lambda: not can(team, "jane", "list", "secrets"), "it is let go")


@pytest.mark.root
def test_a_nodes_certificate_opens_what_a_node_needs(cluster: Cluster, tmp_path: Path) -> None:
    """Who has taken a node over has its pods' secrets, and no others."""
    pki = cluster.root / cluster.name / "pki"
    config = yaml.safe_load(Path(cluster.kubeconfig).read_text())
    for user in config["users"]:
        user["user"] = {
            "client-certificate": str(pki / "node-1-client.crt"),
            "client-key": str(pki / "node-1-client.key"),
        }
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    taken = replace(cluster, kubeconfig=str(file))
    cluster.kubectl("create", "secret", "generic", "foreign", "--from-literal=a=b")
    try:
        assert taken.get("node", "node-1")["metadata"]["name"] == "node-1"
        taken.kubectl("get", "pods", "-A", "--field-selector=spec.nodeName=node-1")
        for words in (
            ("get", "secret", "foreign"),
            ("get", "secrets", "-A"),
            ("get", "pods", "-A"),
            ("get", "node", "node-2"),
            ("label", "node", "node-1", "node-restriction.kubernetes.io/a=b"),
            ("annotate", "node", "node-2", "a=b"),
            ("taint", "node", "node-1", "a=b:NoSchedule"),
            ("run", "x", "--image=x"),
            ("create", "clusterrolebinding", "x", "--clusterrole=view", "--user=x"),
            ("create", "token", "default"),
        ):
            assert "forbidden" in taken.kubectl(*words, code=1).lower(), words
    finally:
        cluster.kubectl("delete", "secret", "foreign")
