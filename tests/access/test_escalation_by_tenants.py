"""What a team's own people try, who administer their namespace with the roles that everybody is given, to
get further than it. Bindings and roles in general: tests/permission/test_escalation.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from longshore.base.users import User
from longshore.core.objects.kinds import Doc
from tests.access import callers
from tests.access.callers import EDITOR, TEAM_ADMIN, UNBOUND, VIEWER
from tests.access.rules import ELSEWHERE, TEAM
from tests.doors.rig import ADMIN, Kube, pod
from tests.permission.rig import RBAC, binding, grant, made, node, refused, role, rule

HERE = f"/api/v1/namespaces/{TEAM}"
PODS = f"{HERE}/pods"
ROLES, BINDINGS = (f"{RBAC}/namespaces/{TEAM}/{plural}" for plural in ("roles", "rolebindings"))
ATTEMPT = "is attempting to grant RBAC permissions not currently held"
MERGE = {"content_type": "application/merge-patch+json"}
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


@pytest.fixture
async def ask(tmp_path: Path) -> AsyncIterator[Kube]:
    async with callers.cluster(tmp_path) as team:
        team.user = TEAM_ADMIN
        yield team


# --- roles ---


@pytest.mark.parametrize("name", ["cluster-admin", "system:node", "system:kube-scheduler"])
async def test_a_team_does_not_bind_what_it_does_not_hold(ask: Kube, name: str) -> None:
    """In its own namespace neither, to nobody, and not under another name."""
    for subject in ("user:admin", "group:system:authenticated", f"account:{TEAM}/default"):
        refused(await ask("POST", BINDINGS, binding("mine", name, subject)), ATTEMPT)


async def test_a_binding_does_not_come_to_mean_another_role(ask: Kube) -> None:
    fine = await ask("POST", BINDINGS, binding("mine", "view", "user:eve"))
    assert fine.status == 201
    other = binding("mine", "cluster-admin", "user:eve")
    answer = await ask("PUT", f"{BINDINGS}/mine", other)
    assert answer.status in (403, 422), answer.doc
    answer = await ask("PATCH", f"{BINDINGS}/mine", {"roleRef": other["roleRef"]}, **MERGE)
    assert answer.status in (403, 422), answer.doc
    there = (await ask("GET", f"{BINDINGS}/mine")).doc
    assert there["roleRef"]["name"] == "view"


@pytest.mark.parametrize(
    "wanted",
    [
        rule("*", "*", "*"), rule("*", "pods"), rule("get", "*"), rule("escalate", "roles", RBAC.split("/")[2]),
        rule("bind", "clusterroles", RBAC.split("/")[2]), rule("impersonate", "users"),
        rule("get", "pods/resize"), rule("update", "resourcequotas"), rule("create", "limitranges"),
    ],
)  # fmt: skip
async def test_a_team_makes_no_role_of_what_it_does_not_hold(ask: Kube, wanted: Doc) -> None:
    refused(await ask("POST", ROLES, role("mine", wanted)), ATTEMPT)


async def test_a_role_in_another_namespace_is_not_theirs(ask: Kube) -> None:
    there = BINDINGS.replace(TEAM, ELSEWHERE)
    refused(
        await ask("POST", there, binding("mine", "view", "user:admin")), "cannot create resource"
    )
    cluster = f"{RBAC}/clusterrolebindings"
    refused(
        await ask("POST", cluster, binding("mine", "view", "user:admin")), "cannot create resource"
    )
    moved = binding("mine", "view", "user:admin")
    moved["metadata"]["namespace"] = ELSEWHERE
    answer = await ask("POST", BINDINGS, moved)
    assert answer.status == 400
    assert "the namespace of the provided object does not match" in answer.doc["message"]


async def test_an_account_elsewhere_gains_nothing_there(ask: Kube) -> None:
    """Who is given rights in a namespace has them in it alone."""
    subject = f"account:{ELSEWHERE}/default"
    assert (await ask("POST", BINDINGS, binding("guest", "admin", subject))).status == 201
    ask.user = User(f"system:serviceaccount:{ELSEWHERE}:default", ("system:authenticated",))
    assert (await ask("GET", PODS)).status == 200
    refused(await ask("GET", PODS.replace(TEAM, ELSEWHERE)), "cannot list resource")


# --- other ways in ---


async def test_labels_of_their_namespace_are_not_theirs(ask: Kube) -> None:
    """Pod security, for one, goes by them."""
    labels = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}}
    refused(
        await ask("PATCH", f"/api/v1/namespaces/{TEAM}", labels, **MERGE), "cannot patch resource"
    )
    refused(await ask("DELETE", f"/api/v1/namespaces/{TEAM}"), "cannot delete resource")


@pytest.mark.parametrize(
    "spec",
    [
        {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, {"hostPID": True}, {"hostNetwork": True},
        {"hostIPC": True},
        {"containers": [{"name": "c", "image": "i", "securityContext": {"privileged": True}}]},
        {"initContainers": [{"name": "i", "image": "i", "securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}]},
        {"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 1, "hostPort": 1}]}]},
        {"securityContext": {"runAsUser": 0}}, {"securityContext": {"seccompProfile": {"type": "Unconfined"}}},
    ],
)  # fmt: skip
@pytest.mark.parametrize("field", ["pods", "ephemeralcontainers"])
async def test_restricted_is_restricted(ask: Kube, spec: Doc, field: str) -> None:
    ask.user = ADMIN
    labels = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    assert (await ask("PATCH", f"/api/v1/namespaces/{TEAM}", labels, **MERGE)).status == 200
    assert (await ask("POST", PODS, harmless("fine"))).status == 201
    ask.user = TEAM_ADMIN
    if field == "pods":
        doc = harmless("sly")
        doc["spec"] |= spec
        refused(await ask("POST", PODS, doc), 'violates PodSecurity "restricted:latest"')
        return
    debugger = {"name": "d", "image": "i", "securityContext": {"privileged": True}}
    patch = {"spec": {"ephemeralContainers": [debugger]}}
    answer = await ask("PATCH", f"{PODS}/fine/ephemeralcontainers", patch, **MERGE)
    refused(answer)


def harmless(name: str) -> Doc:
    """A pod that is allowed everywhere."""
    doc = pod(name)
    doc["spec"]["containers"][0]["securityContext"] = {
        "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"},
    }  # fmt: skip
    return doc


@pytest.mark.parametrize("who", [VIEWER, UNBOUND], ids=["viewer", "unbound"])
async def test_who_only_reads_gets_no_token_and_runs_nothing(ask: Kube, who: User) -> None:
    ask.user = who
    refused(await ask("POST", f"{HERE}/serviceaccounts/mine/token", {}), "cannot create resource")
    refused(await ask("POST", PODS, pod("p")), "cannot create resource")
    for path in ("exec?command=id&stdout=1", "attach", "proxy/"):
        answer = await ask("GET", f"{PODS}/mine/{path}")
        refused(answer, 'cannot get resource "pods/proxy"' if path == "proxy/" else "cannot create")


async def test_an_editor_gets_tokens_of_its_own_namespace_alone(ask: Kube) -> None:
    ask.user = EDITOR
    assert (await ask("POST", f"{HERE}/serviceaccounts/mine/token", {})).status == 201
    for namespace in ("kube-system", ELSEWHERE):
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token"
        refused(await ask("POST", path, {}), "cannot create resource")


# --- to be somebody else ---


@pytest.mark.parametrize(
    ("headers", "what"),
    [
        ({"impersonate_user": "root"}, 'users "root" is forbidden'),
        ({"impersonate_user": "eve", "impersonate_group": "ops"}, 'groups "ops" is forbidden'),
        ({"impersonate_user": "eve", "impersonate_group": ["dev", "ops"]}, 'groups "ops" is forbidden'),
        ({"impersonate_user": "eve", "impersonate_uid": "1"}, 'uids.authentication.k8s.io "1" is forbidden'),
        (
            {"impersonate_user": "eve", "impersonate_extra_scopes": "all"},
            'userextras.authentication.k8s.io "all" is forbidden',
        ),
        (
            {"impersonate_user": "eve", "impersonate_extra_team": ["a", "b"]},
            'userextras.authentication.k8s.io "b" is forbidden',
        ),
        ({"impersonate_user": "eve, root"}, 'users "eve, root" is forbidden'),
        (
            {"impersonate_user": "system:serviceaccount:kube-system:default"},
            'serviceaccounts "default" is forbidden',
        ),
        ({"impersonate_user": f"system:serviceaccount:{TEAM}:mine:x"}, "users"),
        ({"impersonate_user": "system:node:n1", "impersonate_group": "system:nodes"}, "users"),
    ],
)  # fmt: skip
async def test_nobody_is_taken_on_but_those_who_may_be(
    ask: Kube, headers: dict[str, Any], what: str
) -> None:
    """admin may be eve of dev, whose team is a, and the account mine."""
    authentication = "authentication.k8s.io"
    await grant(
        ask, "user:admin", rule("impersonate", "users", names="eve"),
        rule("impersonate", "groups", names="dev"),
        rule("impersonate", "userextras/team", authentication, names="a"),
    )  # fmt: skip
    accounts = rule("impersonate", "serviceaccounts", names="mine")
    await grant(ask, "user:admin", accounts, namespace=TEAM)
    refused(await ask("POST", WHO, {}, **headers), what, 'User "admin" cannot impersonate resource')
    allowed = await ask(
        "POST", WHO, {}, impersonate_user="eve", impersonate_group="dev", impersonate_extra_team="a"
    )
    assert allowed.status == 201, allowed.doc
    account = await ask("POST", WHO, {}, impersonate_user=f"system:serviceaccount:{TEAM}:mine")
    assert account.status == 201, account.doc


async def test_who_is_taken_on_takes_on_nobody(ask: Kube) -> None:
    """One who may be another is then that one, with its rights alone."""
    await grant(ask, "user:admin", rule("impersonate", "users", names="eve"))
    refused(await ask("GET", PODS, impersonate_user="eve"), 'User "eve" cannot list')
    both = {"impersonate_user": "eve", "impersonate_group": "system:masters"}
    refused(await ask("GET", PODS, **both), 'groups "system:masters" is forbidden')


# --- a node ---


async def test_a_node_does_not_bring_others_to_it(ask: Kube) -> None:
    """Neither pods nor secrets: by what it may write."""
    await made(ask, f"{HERE}/secrets", {"metadata": {"name": "foreign"}})
    ask.user = node("n1")
    binding_doc = {"metadata": {"name": "mine"}, "target": {"name": "n1"}}
    refused(await ask("POST", f"{PODS}/mine/binding", binding_doc), "cannot create resource")
    more = {"spec": {"ephemeralContainers": [{"name": "d", "image": "i"}]}}
    refused(await ask("PATCH", f"{PODS}/mine/ephemeralcontainers", more, **MERGE), "cannot patch")
    volumes = {"spec": {"volumes": [{"name": "x", "secret": {"secretName": "foreign"}}]}}
    refused(await ask("PATCH", f"{PODS}/mine", volumes, **MERGE), "cannot patch resource")
    sly = {**volumes, "status": {"phase": "Running"}}
    answer = await ask("PATCH", f"{PODS}/mine/status", sly, **MERGE)
    assert answer.status == 200, answer.doc
    assert "foreign" not in str(answer.doc["spec"])
    refused(await ask("GET", f"{HERE}/secrets/foreign"), "no relationship found")
