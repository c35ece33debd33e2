"""What an audit policy says of a request: upstream's rules, and its words for what is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.base.users import User
from longshore.doors.kubernetes.audit.policy import (
    DEFAULT,
    METADATA,
    NONE,
    REQUEST,
    BadPolicy,
    Deed,
    parse,
)

JANE = User("jane", ("dev", "system:authenticated"))
NODE = User("system:node:n1", ("system:nodes", "system:authenticated"))
HEAD = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy"}


def level(rules: list[dict[str, Any]], deed: Deed) -> str:
    return parse({**HEAD, "rules": rules}).judge(deed).level


def pods(verb: str = "get", **more: Any) -> Deed:
    usual: dict[str, Any] = {"who": JANE, "resource": "pods", "namespace": "a", "name": "p"}
    return Deed(verb=verb, **usual | more)


@pytest.mark.parametrize(
    ("rule", "deed", "covered"),
    [
        ({}, pods(), True),
        ({"users": ["jane"]}, pods(), True),
        ({"users": ["john"]}, pods(), False),
        ({"userGroups": ["ops", "dev"]}, pods(), True),
        ({"userGroups": ["ops"]}, pods(), False),
        ({"verbs": ["get"]}, pods(), True),
        ({"verbs": ["list"]}, pods(), False),
        ({"namespaces": ["a"]}, pods(), True),
        ({"namespaces": ["b"]}, pods(), False),
        ({"namespaces": [""]}, Deed(JANE, "get", resource="nodes"), True),
        ({"namespaces": ["a"]}, Deed(JANE, "get", path="/version"), False),
        ({"resources": [{"group": ""}]}, pods(), True),
        ({"resources": [{"group": "apps"}]}, pods(), False),
        ({"resources": [{"group": "*", "resources": ["pods"]}]}, pods(), True),
        ({"resources": [{"resources": ["pods"]}]}, pods(subresource="log"), False),
        ({"resources": [{"resources": ["pods/log"]}]}, pods(subresource="log"), True),
        ({"resources": [{"resources": ["pods/*"]}]}, pods(subresource="log"), True),
        ({"resources": [{"resources": ["pods/*"]}]}, pods(), True),
        ({"resources": [{"resources": ["*/log"]}]}, pods(subresource="log"), True),
        ({"resources": [{"resources": ["*/log"]}]}, pods(), False),
        ({"resources": [{"resources": ["*"]}]}, pods(subresource="log"), True),
        ({"resources": [{"resources": ["pods"], "resourceNames": ["q"]}]}, pods(), False),
        ({"resources": [{"resources": ["pods"], "resourceNames": ["p"]}]}, pods(), True),
        ({"nonResourceURLs": ["/healthz*"]}, Deed(JANE, "get", path="/healthz/ping"), True),
        ({"nonResourceURLs": ["*"]}, Deed(JANE, "get", path="/version"), True),
        ({"nonResourceURLs": ["/version"]}, Deed(JANE, "get", path="/version/x"), False),
        ({"nonResourceURLs": ["*"]}, pods(), False),
    ],
)  # fmt: skip
def test_what_a_rule_covers(rule: dict[str, Any], deed: Deed, covered: bool) -> None:
    assert level([{"level": METADATA, **rule}], deed) == (METADATA if covered else NONE)


def test_the_first_rule_that_covers_decides() -> None:
    rules: list[dict[str, Any]] = [{"level": NONE, "users": ["jane"]}, {"level": REQUEST}]
    assert level(rules, pods()) == NONE
    assert level(rules, pods(who=NODE)) == REQUEST


def test_names_are_told_apart_where_a_rule_looks_at_them() -> None:
    policy = parse({**HEAD, "rules": [{"level": REQUEST, "resources": [
        {"resources": ["pods"], "resourceNames": ["p"]}]}]})  # fmt: skip
    assert [policy.judge(pods(name=name)).level for name in ("q", "p", "q")] == [
        NONE,
        REQUEST,
        NONE,
    ]


def test_stages_and_managed_fields_add_up() -> None:
    rules = [
        {"level": METADATA, "verbs": ["get"], "omitStages": ["ResponseStarted"]},
        {"level": METADATA, "omitManagedFields": False},
    ]
    policy = parse(
        {**HEAD, "omitStages": ["RequestReceived"], "omitManagedFields": True, "rules": rules}
    )
    first, second = policy.judge(pods()), policy.judge(pods("list"))
    assert first.omitted == {"RequestReceived", "ResponseStarted"}
    assert (first.without_managed_fields, second.without_managed_fields) == (True, False)
    assert not first.tells("RequestReceived")
    assert first.tells("ResponseComplete")


@pytest.mark.parametrize(
    ("doc", "why"),
    [
        ({"kind": "Pod"}, "an audit policy is a Policy of audit.k8s.io/v1"),
        ("nonsense", "an audit policy is a Policy of audit.k8s.io/v1"),
        ({**HEAD}, "rules: Required value"),
        ({**HEAD, "rules": {}}, "rules: "),
        ({**HEAD, "rules": [1]}, "rules[0]: expected an object"),
        ({**HEAD, "rules": [{}]}, "rules[0].level: Required value"),
        ({**HEAD, "rules": [{"level": "All"}]}, 'rules[0].level: Unsupported value: "All"'),
        ({**HEAD, "rules": [{"level": "None", "verbs": "get"}]}, "rules[0].verbs: expected a list of strings"),
        ({**HEAD, "rules": [{"level": "None", "omitStages": ["End"]}]}, 'rules[0].omitStages[0]: Invalid value: "End"'),
        ({**HEAD, "rules": [{"level": "None", "nonResourceURLs": ["a"]}]}, "must begin with a '/'"),
        ({**HEAD, "rules": [{"level": "None", "nonResourceURLs": ["/*/a"]}]}, "must be the final character"),
        ({**HEAD, "rules": [{"level": "None", "nonResourceURLs": ["/a"], "namespaces": ["b"]}]}, "cannot apply to both"),
        ({**HEAD, "rules": [{"level": "None", "resources": [{"group": "a/b"}]}]}, 'group: Invalid value: "a/b"'),
        ({**HEAD, "rules": [{"level": "None", "resources": [{"resourceNames": ["x"]}]}]}, "requires at least one resource"),
    ],
)  # fmt: skip
def test_what_is_no_policy(doc: Any, why: str) -> None:
    with pytest.raises(BadPolicy) as refused:
        parse(doc)
    assert why in str(refused.value)


def test_every_reason_is_told_at_once() -> None:
    with pytest.raises(BadPolicy, match=r"rules\[0\]\.level.*rules\[1\]\.level"):
        parse({**HEAD, "rules": [{}, {"level": "x"}]})


@pytest.mark.parametrize(
    ("deed", "told"),
    [
        (pods("create"), METADATA),
        (pods("get"), NONE),
        (pods("get", resource="secrets"), METADATA),
        (pods("list", resource="secrets"), METADATA),
        (pods("get", subresource="exec"), METADATA),
        (pods("update", who=NODE, subresource="status"), NONE),
        (pods("get", who=NODE, resource="secrets"), NONE),
        (pods("delete", who=NODE), METADATA),
        (pods("create", resource="events"), NONE),
        (Deed(JANE, "get", path="/metrics"), NONE),
    ],
)
def test_what_is_told_when_nobody_says_what(deed: Deed, told: str) -> None:
    assert parse(DEFAULT).judge(deed).level == told
