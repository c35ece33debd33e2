"""Authorisers outside the server: who is asked what and in which order, what answers mean, and how
long they count."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from longshore.base.users import User
from longshore.core.objects.kinds import Doc
from longshore.core.registry.permission.outside import (
    _ANSWERS_MAX,
    Outside,
    Terms,
    spec_of_wish,
)
from longshore.core.registry.permission.union import NODE, RBAC, Stage
from longshore.core.registry.questions import AskError, Undecided, decided
from longshore.core.registry.registry import RegistryConfig
from longshore.core.registry.wishes import Wish
from longshore.testing.clock import VirtualClock

from ..doors.rig import ADMIN, Kube, config_map, kube

JANE = User("jane", ("dev", "system:authenticated"), "7", (("scopes", ("a", "b")),))
NODE_1 = User("system:node:n1", ("system:nodes", "system:authenticated"))
MAPS = "/api/v1/namespaces/default/configmaps"
REVIEWS = "/apis/authorization.k8s.io/v1"
ALLOWED, DENIED = {"allowed": True}, {"allowed": False, "denied": True, "reason": "not you"}
SILENT = {"allowed": False, "reason": "never heard of it"}


class Oracle:
    """An outside authoriser that says what it was told to, or what a function makes of the spec."""

    def __init__(self, says: Doc | Callable[[Doc], Doc] | None, **terms: Any) -> None:
        self.says = says
        self.asked: list[Doc] = []
        self.clock = VirtualClock()
        self.stage = Outside(Terms("oracle", **terms), self.ask, self.clock)

    async def ask(self, spec: Doc) -> Doc:
        self.asked.append(spec)
        if self.says is None:
            raise AskError("it is down")
        return self.says(spec) if callable(self.says) else self.says

    @property
    def verbs(self) -> list[str]:
        return [spec.get("resourceAttributes", {}).get("verb", "") for spec in self.asked]


@asynccontextmanager
async def asking(*stages: Oracle | str, who: User = JANE) -> AsyncIterator[Kube]:
    order: list[Stage] = [one.stage if isinstance(one, Oracle) else one for one in stages]
    async with kube(roles=True, registry_config=RegistryConfig(authorizers=order)) as ask:
        await ask("POST", MAPS, config_map("a"))
        ask.user = who
        yield ask


def behind(oracle: Oracle) -> tuple[Oracle | str, ...]:
    return NODE, RBAC, oracle


async def test_what_is_asked() -> None:
    oracle = Oracle(ALLOWED)
    async with asking(*behind(oracle)) as ask:
        assert (await ask("GET", f"{MAPS}/a")).status == 200
        who = {
            "user": "jane", "groups": ["dev", "system:authenticated"], "uid": "7",
            "extra": {"scopes": ["a", "b"]},
        }  # fmt: skip
        about = {
            "namespace": "default", "verb": "get", "version": "*", "resource": "configmaps",
            "name": "a",
        }  # fmt: skip
        assert oracle.asked == [{"resourceAttributes": about, **who}]
        await ask("GET", f"{MAPS}?fieldSelector=metadata.name=a")
        chosen = [{"key": "metadata.name", "operator": "In", "values": ["a"]}]
        assert oracle.asked[1]["resourceAttributes"]["fieldSelector"] == {"requirements": chosen}
        assert (await ask("GET", "/metrics")).status == 200
        path = {"path": "/metrics", "verb": "get"}
        assert oracle.asked[2] == {"nonResourceAttributes": path, **who}


@pytest.mark.parametrize(
    ("says", "status", "why"),
    [(ALLOWED, 200, ""), (DENIED, 403, ": not you"), (SILENT, 403, ": never heard of it")],
)
async def test_what_answers_mean(says: Doc, status: int, why: str) -> None:
    async with asking(*behind(Oracle(says))) as ask:
        for path in (MAPS, "/metrics"):
            answer = await ask("GET", path)
            assert answer.status == status
            assert status == 200 or answer.doc["message"].endswith(why)


@pytest.mark.parametrize("user", [ADMIN, NODE_1])
async def test_what_the_server_knows_itself_is_not_asked(user: User) -> None:
    oracle = Oracle(DENIED)
    async with asking(*behind(oracle), who=user) as ask:
        path = "/api/v1/nodes/n1" if user is NODE_1 else MAPS
        assert (await ask("GET", path)).status == (404 if user is NODE_1 else 200)
        assert oracle.asked == []


async def test_the_first_that_decides_is_right() -> None:
    first, last = Oracle(SILENT), Oracle(ALLOWED)
    async with asking(first, NODE, RBAC, last) as ask:
        assert (await ask("GET", MAPS)).status == 200
        assert (len(first.asked), len(last.asked)) == (1, 1)
        first.says = DENIED
        assert (await ask("GET", "/metrics")).status == 403
        assert (len(first.asked), len(last.asked)) == (2, 1)
        ask.user = ADMIN
        assert (await ask("GET", "/metrics")).status != 403


async def test_it_may_take_from_a_node_what_the_rules_give() -> None:
    async with asking(Oracle(DENIED), NODE, RBAC, who=NODE_1) as ask:
        assert (await ask("GET", "/api/v1/nodes/n1")).status == 403
    async with asking(NODE, Oracle(DENIED), RBAC, who=NODE_1) as ask:
        assert (await ask("GET", "/api/v1/nodes/n1")).status == 404
        assert (await ask("GET", "/api/v1/nodes")).status == 403


@pytest.mark.parametrize(("denies", "status"), [(True, 403), (False, 200)])
async def test_a_failure_denies_or_is_no_opinion(denies: bool, status: int) -> None:
    down, last = Oracle(None, failure_denies=denies), Oracle(ALLOWED)
    async with asking(NODE, RBAC, down, last) as ask:
        assert (await ask("GET", MAPS)).status == status
        assert len(last.asked) == (0 if denies else 1)


async def test_a_failure_is_asked_anew_a_second_later() -> None:
    down = Oracle(None, failure_denies=True)
    async with asking(*behind(down)) as ask:
        for _ in range(3):
            assert (await ask("GET", MAPS)).status == 403
        assert len(down.asked) == 1
        down.says = ALLOWED
        await down.clock.advance(1.0)
        assert (await ask("GET", MAPS)).status == 200


@pytest.mark.parametrize(("says", "ttl_s"), [(ALLOWED, 300.0), (DENIED, 30.0), (SILENT, 30.0)])
async def test_answers_count_for_their_time(says: Doc, ttl_s: float) -> None:
    oracle = Oracle(says)
    async with asking(*behind(oracle)) as ask:
        for after_s, asked in ((0.0, 1), (ttl_s - 0.1, 1), (0.1, 2), (0.0, 2)):
            await oracle.clock.advance(after_s)
            await ask("GET", MAPS)
            assert len(oracle.asked) == asked


async def test_another_question_is_another_answer() -> None:
    oracle = Oracle(lambda spec: {"allowed": spec["user"] == "jane"})
    async with asking(*behind(oracle)) as ask:
        assert (await ask("GET", MAPS)).status == 200
        ask.user = User("joe", JANE.groups)
        assert (await ask("GET", MAPS)).status == 403
        ask.user = User("jane", ("other",))
        assert (await ask("GET", MAPS)).status == 200
        assert len(oracle.asked) == 3


async def test_writes_ask_all_that_they_need() -> None:
    """What comes up when a write is planned too: the right to give away what one does not have."""
    oracle = Oracle(lambda spec: {"allowed": spec["resourceAttributes"]["verb"] != "escalate"})
    role: Doc = {
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "r"},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
    }  # fmt: skip
    path = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles"
    async with asking(*behind(oracle)) as ask:
        assert (await ask("POST", path, role)).status == 403
        assert oracle.verbs == ["create", "escalate"]
        oracle.says = ALLOWED
        await oracle.clock.advance(30.0)
        assert (await ask("POST", path, role)).status == 201
        assert (await ask("GET", f"{path}/r")).status == 200


async def test_a_request_with_a_timeout_asks_too() -> None:
    async with asking(*behind(Oracle(ALLOWED))) as ask:
        assert (await ask.late(ask("GET", f"{MAPS}?timeout=5s"))).status == 200


async def test_impersonation_asks() -> None:
    oracle = Oracle(lambda spec: {"allowed": spec["user"] in ("jane", "joe")})
    async with asking(*behind(oracle)) as ask:
        assert (await ask("GET", MAPS, impersonate_user="joe")).status == 200
        assert oracle.verbs == ["impersonate", "list"]
        assert [spec["user"] for spec in oracle.asked] == ["jane", "joe"]
        ask.user = User("other")
        answer = await ask("GET", MAPS, impersonate_user="joe")
        assert answer.status == 403
        assert 'User "other" cannot impersonate resource "users"' in answer.doc["message"]


async def test_reviews_ask_and_tell() -> None:
    oracle = Oracle(DENIED)
    about = {"verb": "get", "resource": "pods", "namespace": "default"}
    review = {
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
        "spec": {"user": "joe", "resourceAttributes": about},
    }  # fmt: skip
    async with asking(*behind(oracle), who=ADMIN) as ask:
        answer = await ask("POST", f"{REVIEWS}/subjectaccessreviews", review)
        assert answer.doc["status"] == DENIED
        assert [spec["user"] for spec in oracle.asked] == ["joe"]
        oracle.says = None
        review["spec"] = {"user": "ann", "nonResourceAttributes": {"verb": "get", "path": "/x"}}
        answer = await ask("POST", f"{REVIEWS}/subjectaccessreviews", review)
        assert answer.doc["status"] == {"allowed": False, "evaluationError": "it is down"}


async def test_what_it_allows_cannot_be_listed() -> None:
    review = {
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": "default"},
    }  # fmt: skip
    async with asking(*behind(Oracle(ALLOWED))) as ask:
        status = (await ask("POST", f"{REVIEWS}/selfsubjectrulesreviews", review)).doc["status"]
        assert status["incomplete"]
        assert status["evaluationError"].startswith("webhook authorizer does not support")


@pytest.mark.parametrize(
    ("says", "error"),
    [
        ({"allowed": "true"}, "its status does not say true or false"),
        ({"allowed": True, "denied": 1}, "its status does not say true or false"),
        ({"allowed": True, "denied": True}, "returned both allow and deny response"),
    ],
)
async def test_muddled_answers_allow_nothing(says: Doc, error: str) -> None:
    oracle = Oracle(says)
    spec = spec_of_wish(JANE, Wish("get", "", "pods"))
    verdict = await decided(lambda: oracle.stage.verdict(spec))
    assert not verdict.allowed
    assert error in verdict.error


async def test_what_is_remembered_is_bounded() -> None:
    oracle = Oracle({"allowed": True, "reason": "r" * 100_000})
    for number in range(_ANSWERS_MAX + 10):
        await oracle.stage.settle({"user": f"{number}"})
    assert len(oracle.stage._said) == _ANSWERS_MAX
    assert len(oracle.stage.verdict({"user": f"{_ANSWERS_MAX}"}).reason) == 1024
    with pytest.raises(Undecided):
        oracle.stage.verdict({"user": "0"})
