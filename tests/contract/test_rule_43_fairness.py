"""Rule 43: every answer says by its headers which flow schema and priority level its request
belongs to."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.base.users import User
from longshore.core.objects import kinds
from longshore.core.objects.flow_defaults import FLOW_SCHEMAS, PRIORITY_LEVELS
from longshore.core.objects.kinds import Doc
from longshore.doors.kubernetes.fairness.plan import Asked, classify, matches, ordered
from tests.doors.rig import Answer, Kube, kube

FLOWS = "/apis/flowcontrol.apiserver.k8s.io/v1"
JANE = User("jane", ("dev", "system:authenticated"))
ROBOT = User("system:serviceaccount:default:robot", ("system:serviceaccounts",))
SCHEMA, LEVEL = "X-Kubernetes-PF-FlowSchema-UID", "X-Kubernetes-PF-PriorityLevel-UID"
LIMITED = {"nominalConcurrencyShares": 5, "limitResponse": {"type": "Reject"}}


def user(name: str) -> Doc:
    return {"kind": "User", "user": {"name": name}}


def group(name: str) -> Doc:
    return {"kind": "Group", "group": {"name": name}}


def account(namespace: str, name: str) -> Doc:
    return {"kind": "ServiceAccount", "serviceAccount": {"namespace": namespace, "name": name}}


def resources(**more: object) -> Doc:
    return {
        "verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "namespaces": ["default"],
        **more,
    }  # fmt: skip


def schema(name: str, level: str, precedence: int = 100, **rule: Any) -> Doc:
    return {
        "metadata": {"name": name, "uid": f"uid-{name}"},
        "spec": {
            "priorityLevelConfiguration": {"name": level}, "matchingPrecedence": precedence,
            "rules": [rule],
        },
    }  # fmt: skip


GET_POD = Asked("get", "", "pods", "default")


@pytest.mark.parametrize(
    ("who", "subject", "matched"),
    [
        (JANE, user("jane"), True),
        (JANE, user("*"), True),
        (JANE, user("joe"), False),
        (JANE, group("dev"), True),
        (JANE, group("ops"), False),
        (ROBOT, account("default", "robot"), True),
        (ROBOT, account("default", "*"), True),
        (ROBOT, account("default", "other"), False),
        (ROBOT, account("other", "*"), False),
        (JANE, account("default", "*"), False),
    ],
)
def test_subjects(who: User, subject: Doc, matched: bool) -> None:
    one = schema("s", "l", subjects=[subject], resourceRules=[resources()])
    assert matches(one, who, GET_POD) is matched


@pytest.mark.parametrize(
    ("rule", "asked", "matched"),
    [
        (resources(), GET_POD, True),
        (resources(verbs=["list"]), GET_POD, False),
        (resources(verbs=["*"], apiGroups=["*"], resources=["*"]), GET_POD, True),
        (resources(namespaces=["other"]), GET_POD, False),
        (resources(namespaces=["*"]), GET_POD, True),
        (resources(), Asked("get", "", "pods/status", "default"), False),
        (resources(resources=["pods/status"]), Asked("get", "", "pods/status", "default"), True),
        (resources(), Asked("get", "", "pods"), False),
        (resources(clusterScope=True), Asked("get", "", "pods"), True),
        (resources(verbs=["*"], resources=["*"]), Asked("get", path="/pods"), False),
    ],
)
def test_resource_rules(rule: Doc, asked: Asked, matched: bool) -> None:
    one = schema("s", "l", subjects=[user("*")], resourceRules=[rule])
    assert matches(one, JANE, asked) is matched


@pytest.mark.parametrize(
    ("url", "path", "matched"),
    [
        ("*", "/any", True),
        ("/healthz", "/healthz", True),
        ("/healthz", "/healthz/x", False),
        ("/healthz/*", "/healthz/x", True),
        ("/healthz/*", "/livez", False),
    ],
)
def test_path_rules(url: str, path: str, matched: bool) -> None:
    rule = {"verbs": ["get"], "nonResourceURLs": [url]}
    one = schema("s", "l", subjects=[user("*")], nonResourceRules=[rule])
    assert matches(one, JANE, Asked("get", path=path)) is matched


def test_the_first_in_order_wins_and_dangling_ones_are_passed_over() -> None:
    rule: Doc = {"subjects": [user("*")], "resourceRules": [resources()]}
    schemas = [
        schema("late", "low", 200, **rule), schema("b", "low", **rule), schema("a", "none", **rule),
    ]  # fmt: skip
    levels = {"low": {"metadata": {"name": "low", "uid": "uid-low"}}}
    flow = classify(JANE, GET_POD, ordered(schemas), levels)
    assert flow is not None and (flow.schema, flow.level_uid) == ("b", "uid-low")
    assert classify(JANE, Asked("delete", "", "pods", "default"), ordered(schemas), levels) is None


async def add(ask: Kube, plural: str, name: str, spec: Doc) -> str:
    made = await ask("POST", f"{FLOWS}/{plural}", {"metadata": {"name": name}, "spec": spec})
    assert made.status == 201, made.doc
    return str(made.doc["metadata"]["uid"])


def told(answer: Answer) -> tuple[str | None, str | None]:
    return answer.headers.get(SCHEMA), answer.headers.get(LEVEL)


async def test_answers_tell_their_schema_and_level_and_follow_changes() -> None:
    async with kube() as ask:
        pods = "/api/v1/namespaces/default/pods"
        level = await add(
            ask, "prioritylevelconfigurations", "low", {"type": "Limited", "limited": LIMITED}
        )
        assert told(await ask("GET", pods)) == (None, None)
        rule = {"subjects": [user("admin")], "resourceRules": [resources(verbs=["list"])]}
        spec = {
            "priorityLevelConfiguration": {"name": "low"}, "matchingPrecedence": 50,
            "rules": [rule],
        }  # fmt: skip
        uid = await add(ask, "flowschemas", "admins", spec)
        assert told(await ask("GET", pods)) == (uid, level)
        assert told(await ask("GET", f"{pods}/none")) == (None, None)
        assert told(await ask("GET", f"{pods}?watch=false")) == (uid, level)
        assert (await ask("DELETE", f"{FLOWS}/flowschemas/admins")).status == 200
        assert told(await ask("GET", pods)) == (None, None)


async def test_refusals_tell_it_too() -> None:
    async with kube() as ask:
        level = await add(
            ask, "prioritylevelconfigurations", "low", {"type": "Limited", "limited": LIMITED}
        )
        rule = {
            "subjects": [user("*")],
            "resourceRules": [resources(verbs=["*"], resources=["*"])],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        }
        spec = {"priorityLevelConfiguration": {"name": "low"}, "rules": [rule]}
        uid = await add(ask, "flowschemas", "all", spec)
        ask.user = JANE
        for path, status in (
            ("/api/v1/namespaces/default/pods", 403), ("/nowhere", 403), ("/apis", 200),
        ):  # fmt: skip
            answer = await ask("GET", path)
            assert (answer.status, told(answer)) == (status, (uid, level)), path


@pytest.mark.parametrize(
    ("plural", "doc"),
    [
        ("flowschemas", next(d for d in FLOW_SCHEMAS if d["metadata"]["name"] == "catch-all")),
        (
            "prioritylevelconfigurations",
            next(d for d in PRIORITY_LEVELS if d["metadata"]["name"] == "exempt"),
        ),
    ],
)
async def test_what_is_mandatory_comes_back(plural: str, doc: Doc) -> None:
    async with kube() as ask:
        name = doc["metadata"]["name"]
        uid = await add(ask, plural, name, doc["spec"])
        kind = kinds.FLOW_SCHEMA if plural == "flowschemas" else kinds.PRIORITY_LEVEL
        feed = ask.registry.cache.subscribe(kind)
        assert [frame.type for frame in await feed.next_batch()] == ["ADDED"]
        assert (await ask("DELETE", f"{FLOWS}/{plural}/{name}")).status == 200
        seen: list[str] = []
        while len(seen) < 2:
            seen += [frame.type for frame in await feed.next_batch()]
        assert seen == ["DELETED", "ADDED"]
        again = (await ask("GET", f"{FLOWS}/{plural}/{name}")).doc
        assert again["metadata"]["uid"] != uid
        assert again["metadata"]["annotations"] == doc["metadata"]["annotations"]
