"""Rule 36: reviews are answered in their status and never stored; impersonation is authorised."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.base.users import User, account_user
from longshore.core.objects.kinds import Doc
from longshore.core.registry.identity.tokens import groups_of
from tests.doors.rig import ADMIN, Kube, kube

AUTHZ = "/apis/authorization.k8s.io/v1"
AUTHN = "/apis/authentication.k8s.io/v1"
PODS = "/api/v1/namespaces/default/pods"
ROBOT = User(account_user("default", "robot"), groups_of("default"), "u1")
NODE = User("system:node:n1", ("system:nodes", "system:authenticated"))


def attributes(verb: str, resource: str, **more: str) -> Doc:
    return {"resourceAttributes": {"verb": verb, "resource": resource, **more}}


def selecting(**selector: Any) -> Doc:
    asked = attributes("list", "pods")
    asked["resourceAttributes"]["fieldSelector"] = selector
    return asked


def requirement(operator: str, *values: str) -> Doc:
    return {"key": "spec.nodeName", "operator": operator, "values": list(values)}


async def verdict(ask: Kube, resource: str, spec: Doc) -> Doc:
    answer = await ask("POST", f"{AUTHZ}/{resource}", {"spec": spec})
    assert answer.status == 201, answer.doc
    assert answer.doc["spec"] == spec
    status: Doc = answer.doc["status"]
    return status


@pytest.mark.parametrize(
    ("who", "spec", "allowed"),
    [
        (ADMIN, attributes("delete", "nodes"), True),
        (ADMIN, attributes("fly", "dragons", group="example.com"), True),
        (NODE, attributes("list", "pods"), False),
        (NODE, attributes("list", "services"), True),
        (NODE, selecting(rawSelector="spec.nodeName=n1"), True),
        (NODE, selecting(rawSelector="metadata.name!=a,spec.nodeName==n1"), True),
        (NODE, selecting(rawSelector="spec.nodeName!=n1"), False),
        (NODE, selecting(rawSelector="spec.nodeName=n2"), False),
        (NODE, selecting(requirements=[requirement("In", "n1")]), True),
        (NODE, selecting(requirements=[requirement("NotIn", "n1")]), False),
        (NODE, selecting(requirements=[requirement("In", "n1", "n2")]), False),
        (NODE, attributes("update", "nodes", name="n1", subresource="status"), True),
        (NODE, attributes("get", "nodes", name="n1"), True),
        (NODE, attributes("get", "nodes", name="n2"), False),
        (ROBOT, attributes("list", "pods"), False),
        (
            ROBOT,
            attributes("create", "selfsubjectaccessreviews", group="authorization.k8s.io"),
            True,
        ),
        (ROBOT, {"nonResourceAttributes": {"verb": "get", "path": "/apis/apps"}}, True),
        (ROBOT, {"nonResourceAttributes": {"verb": "get", "path": "/metrics"}}, False),
        (ROBOT, {"nonResourceAttributes": {"verb": "post", "path": "/version"}}, False),
    ],
)
async def test_everybody_may_ask_what_they_may_do(who: User, spec: Doc, allowed: bool) -> None:
    async with kube(roles=True) as ask:
        ask.user = who
        said = await verdict(ask, "selfsubjectaccessreviews", spec)
        assert said["allowed"] is allowed


async def test_masters_ask_about_others() -> None:
    async with kube(roles=True) as ask:
        about = {"user": NODE.name, "groups": list(NODE.groups), **attributes("list", "services")}
        assert (await verdict(ask, "subjectaccessreviews", about))["allowed"]
        about["groups"] = []
        assert not (await verdict(ask, "subjectaccessreviews", about))["allowed"]


async def test_others_may_not_ask_about_others() -> None:
    async with kube(roles=True) as ask:
        ask.user = ROBOT
        body = {"spec": {"user": "jane", **attributes("list", "pods")}}
        answer = await ask("POST", f"{AUTHZ}/subjectaccessreviews", body)
        assert answer.status == 403
        assert answer.doc["message"] == (
            'subjectaccessreviews.authorization.k8s.io is forbidden: User "system:serviceaccount:'
            'default:robot" cannot create resource "subjectaccessreviews" in API group '
            '"authorization.k8s.io" at the cluster scope'
        )


@pytest.mark.parametrize(
    ("spec", "field", "why"),
    [
        ({"user": "jane"}, "spec.resourceAttributes", "exactly one of"),
        (
            {
                "user": "j",
                **attributes("get", "pods"),
                "nonResourceAttributes": {"path": "/", "verb": "get"},
            },
            "spec.nonResourceAttributes",
            "cannot be specified in combination",
        ),
        (attributes("get", "pods"), "spec.user", "at least one of user or group"),
        (
            {"user": "j", **selecting()},
            "spec.resourceAttributes.fieldSelector.requirements",
            "requirements or rawSelector is required",
        ),
        (
            {"user": "j", **selecting(rawSelector="a=b", requirements=[requirement("In", "x")])},
            "spec.resourceAttributes.fieldSelector.rawSelector",
            "may not specified at the same time as requirements",
        ),
        (
            {"user": "j", **selecting(requirements=[requirement("In")])},
            "spec.resourceAttributes.fieldSelector.requirements[0].values",
            "must be specified when `operator` is 'In' or 'NotIn'",
        ),
    ],
)
async def test_a_question_must_make_sense(spec: Doc, field: str, why: str) -> None:
    async with kube(roles=True) as ask:
        answer = await ask("POST", f"{AUTHZ}/subjectaccessreviews", {"spec": spec})
        assert (answer.status, answer.doc["reason"]) == (422, "Invalid")
        cause = answer.doc["details"]["causes"][0]
        assert cause["field"] == field and why in cause["message"]


async def test_metadata_must_be_empty() -> None:
    async with kube(roles=True) as ask:
        body = {"metadata": {"name": "x"}, "spec": attributes("get", "pods")}
        answer = await ask("POST", f"{AUTHZ}/selfsubjectaccessreviews", body)
        assert answer.status == 422 and "must be empty" in answer.doc["message"]


async def test_a_local_review_is_about_its_own_namespace() -> None:
    async with kube(roles=True) as ask:
        path = f"{AUTHZ}/namespaces/default/localsubjectaccessreviews"
        spec = {"user": "jane", **attributes("get", "pods", namespace="default")}
        answer = await ask("POST", path, {"spec": spec})
        assert (answer.status, answer.doc["status"]) == (201, {"allowed": False})
        spec["resourceAttributes"]["namespace"] = "other"
        answer = await ask("POST", path, {"spec": spec})
        assert answer.status == 422 and "must match metadata.namespace" in answer.doc["message"]


async def test_rules_are_listed() -> None:
    async with kube(roles=True) as ask:
        body = {"spec": {"namespace": "default"}}
        status = (await ask("POST", f"{AUTHZ}/selfsubjectrulesreviews", body)).doc["status"]
        assert status["resourceRules"] == [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]
        assert status["nonResourceRules"] == [{"verbs": ["*"], "nonResourceURLs": ["*"]}]
        ask.user = ROBOT
        status = (await ask("POST", f"{AUTHZ}/selfsubjectrulesreviews", body)).doc["status"]
        resources = {name for rule in status["resourceRules"] for name in rule["resources"]}
        assert resources == {
            "selfsubjectreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews",
            "clustertrustbundles",
        }  # fmt: skip
        answer = await ask("POST", f"{AUTHZ}/selfsubjectrulesreviews", {"spec": {}})
        assert (answer.status, answer.doc["message"]) == (400, "no namespace on request")


async def test_who_am_i() -> None:
    async with kube(roles=True) as ask:
        ask.user = ROBOT
        answer = await ask("POST", f"{AUTHN}/selfsubjectreviews", {})
        assert answer.status == 201
        assert answer.doc["status"]["userInfo"] == {
            "username": ROBOT.name, "uid": "u1", "groups": list(ROBOT.groups),
        }  # fmt: skip


async def test_nothing_is_stored() -> None:
    async with kube(roles=True) as ask:
        before = ask.registry.cache.revision
        await verdict(ask, "selfsubjectaccessreviews", attributes("get", "pods"))
        assert ask.registry.cache.revision == before


async def test_discovery_is_everyones_and_pods_are_not() -> None:
    async with kube(roles=True) as ask:
        ask.user = ROBOT
        for path in ("/api", "/apis", "/apis/apps/v1", "/openapi/v3", "/version"):
            assert (await ask("GET", path)).status == 200, path
        answer = await ask("GET", PODS)
        assert answer.status == 403
        assert answer.doc["message"] == (
            f'pods is forbidden: User "{ROBOT.name}" cannot list resource "pods" in API group "" '
            'in the namespace "default"'
        )
        answer = await ask("GET", "/nowhere")
        assert answer.status == 403
        assert answer.doc["message"] == f'forbidden: User "{ROBOT.name}" cannot get path "/nowhere"'


async def whoami(ask: Kube, **headers: str | list[str]) -> Any:
    answer = await ask("POST", f"{AUTHN}/selfsubjectreviews", {}, **headers)
    assert answer.status == 201, answer.doc
    return answer.doc["status"]["userInfo"]


async def test_masters_may_impersonate_user_group_uid_and_extra() -> None:
    async with kube(roles=True) as ask:
        info = await whoami(
            ask, impersonate_user="jane", impersonate_group=["dev, west", "ops"],
            impersonate_uid="7",
            impersonate_extra_scopes=["view", "edit"],
        )  # fmt: skip
        assert info == {
            "username": "jane", "uid": "7", "groups": ["dev, west", "ops", "system:authenticated"],
            "extra": {"scopes": ["view", "edit"]},
        }  # fmt: skip


async def test_an_impersonated_account_has_its_groups_and_nobody_else_proved_anything() -> None:
    async with kube(roles=True) as ask:
        info = await whoami(ask, impersonate_user="system:serviceaccount:default:robot")
        assert info["groups"] == list(groups_of("default"))
        answer = await ask(
            "POST", f"{AUTHN}/selfsubjectreviews", {}, impersonate_user="system:anonymous"
        )
        assert answer.status == 403


async def test_attributes_without_a_user_are_refused() -> None:
    async with kube(roles=True) as ask:
        answer = await ask("GET", PODS, impersonate_group="dev")
        assert answer.status == 400
        assert "without impersonating a user" in answer.doc["message"]


@pytest.mark.parametrize(
    ("headers", "resource"),
    [
        ({"impersonate_user": "jane"}, 'users "jane"'),
        ({"impersonate_user": "system:serviceaccount:default:x"}, 'serviceaccounts "x"'),
    ],
)
async def test_others_may_not_impersonate(headers: dict[str, str], resource: str) -> None:
    async with kube(roles=True) as ask:
        ask.user = ROBOT
        answer = await ask("GET", PODS, **headers)
        assert answer.status == 403
        assert answer.doc["message"].startswith(
            f'{resource} is forbidden: User "{ROBOT.name}" cannot impersonate resource'
        )


async def test_a_master_who_takes_on_another_is_no_master() -> None:
    async with kube(roles=True) as ask:
        answer = await ask("GET", PODS, impersonate_user="jane")
        assert answer.status == 403 and '"jane" cannot list' in answer.doc["message"]
