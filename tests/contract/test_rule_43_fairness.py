"""Rule 43: every answer says by its headers which flow schema and priority level its request
belongs to; who comes when a level is full waits in turn or is told to come again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from longshore.base.users import User
from longshore.core.objects import kinds
from longshore.core.objects.flow_defaults import FLOW_SCHEMAS, PRIORITY_LEVELS
from longshore.core.objects.kinds import Doc
from longshore.doors.kit.http import SlicedReply
from longshore.doors.kubernetes.door import DoorConfig
from longshore.doors.kubernetes.fairness.plan import Asked, classify, matches, ordered
from longshore.testing.clock import settle
from tests.doors.rig import Answer, Kube, config_map, kube

FLOWS = "/apis/flowcontrol.apiserver.k8s.io/v1"
MERGE = "application/merge-patch+json"
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
    async with kube(roles=True) as ask:
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
        while "ADDED" not in seen:
            seen += [frame.type for frame in await feed.next_batch()]
        assert [each for each in seen if each != "MODIFIED"] == ["DELETED", "ADDED"]
        again = (await ask("GET", f"{FLOWS}/{plural}/{name}")).doc
        assert again["metadata"]["uid"] != uid
        assert again["metadata"]["annotations"] == doc["metadata"]["annotations"]


# ---- dangling


async def dangling(ask: Kube, name: str) -> Doc:
    await settle()
    status = (await ask("GET", f"{FLOWS}/flowschemas/{name}/status")).doc["status"]
    (condition,) = status["conditions"]
    assert condition["type"] == "Dangling"
    return dict(condition)


async def test_a_schema_says_whether_its_level_is_there() -> None:
    levels = f"{FLOWS}/prioritylevelconfigurations"
    told = 'This FlowSchema references the PriorityLevelConfiguration object named "low"'
    async with kube() as ask:
        rule = {"subjects": [user("*")], "resourceRules": [resources()]}
        spec = {"priorityLevelConfiguration": {"name": "low"}, "rules": [rule]}
        await add(ask, "flowschemas", "mine", spec)
        lost = await dangling(ask, "mine")
        assert (lost["status"], lost["reason"]) == ("True", "NotFound")
        assert lost["message"] == f"{told} but there is no such object"
        await ask.clock.advance(5)
        await add(
            ask, "prioritylevelconfigurations", "low", {"type": "Limited", "limited": LIMITED}
        )
        found = await dangling(ask, "mine")
        assert (found["status"], found["reason"]) == ("False", "Found")
        assert found["message"] == f"{told} and it exists"
        assert found["lastTransitionTime"] > lost["lastTransitionTime"]
        before = (await ask("GET", f"{FLOWS}/flowschemas/mine")).doc
        assert (await ask("PATCH", f"{levels}/low", {}, content_type=MERGE)).status == 200
        await settle()
        assert (await ask("GET", f"{FLOWS}/flowschemas/mine")).doc == before
        assert (await ask("DELETE", f"{levels}/low")).status == 200
        assert (await dangling(ask, "mine"))["status"] == "True"


# ---- limits

QUEUE = {"type": "Queue", "queuing": {"queues": 1, "handSize": 1, "queueLengthLimit": 1}}
REJECT = {"type": "Reject"}
MAPS = "/api/v1/namespaces/default/configmaps"
# Waits up to 3 seconds for the cache to come so far.
FUTURE = f"{MAPS}/none?resourceVersion=999999"


@contextlib.asynccontextmanager
async def limited(response: Doc, seats: int = 1) -> AsyncIterator[Kube]:
    """A server with so many seats, all for the users of one level; operators are exempt."""
    everything = resources(verbs=["*"], apiGroups=["*"], resources=["*"], namespaces=["*"])
    paths = {"verbs": ["*"], "nonResourceURLs": ["*"]}
    rules: Doc = {
        "resourceRules": [{**everything, "clusterScope": True}],
        "nonResourceRules": [paths],
    }
    spec = {
        "type": "Limited",
        "limited": {"nominalConcurrencyShares": 1, "limitResponse": response},
    }
    async with kube(DoorConfig(seats=seats)) as ask:
        await add(ask, "prioritylevelconfigurations", "exempt", PRIORITY_LEVELS[0]["spec"])
        await add(ask, "prioritylevelconfigurations", "small", spec)
        for name, level, who in (("ops", "exempt", group("ops")), ("users", "small", user("*"))):
            schema = {
                "priorityLevelConfiguration": {"name": level},
                "matchingPrecedence": 2 if level == "exempt" else 3,
                "rules": [{"subjects": [who], **rules}],
                "distinguisherMethod": {"type": "ByUser"},
            }
            await add(ask, "flowschemas", name, schema)
        await settle()
        yield ask


async def at_once(ask: Kube, *targets: str, method: str = "GET") -> list[Answer]:
    """The answers to requests that come in one turn of the loop."""
    asked = [asyncio.ensure_future(ask(method, target)) for target in targets]
    for _ in range(8):
        await ask.clock.advance(0.5)
    return await asyncio.gather(*asked)


async def test_a_level_that_rejects_has_no_more_than_its_seats() -> None:
    async with limited(REJECT) as ask:
        waiting, refused = await at_once(ask, FUTURE, f"{MAPS}/none")
        assert (waiting.status, refused.status) == (504, 429)
        assert refused.headers["Retry-After"] == "1"
        assert refused.headers[LEVEL] == waiting.headers[LEVEL]
        assert refused.content_type == "application/json"
        assert refused.doc["kind"] == "Status" and refused.doc["reason"] == "TooManyRequests"
        assert refused.doc["message"] == "too many requests, please try again later"
        assert refused.doc["details"]["retryAfterSeconds"] == 1
        assert (await ask("GET", f"{MAPS}/none")).status == 404


async def test_a_level_with_queues_lets_wait_until_they_are_full() -> None:
    async with limited(QUEUE) as ask:
        answers = await at_once(ask, FUTURE, f"{MAPS}/none", f"{MAPS}/none")
        assert [answer.status for answer in answers] == [504, 404, 429]
        told = (await ask("GET", "/metrics")).body.decode().splitlines()
        flow = 'priority_level="small",flow_schema="users"'
        prefix = "apiserver_flowcontrol"
        assert f'{prefix}_rejected_requests_total{{{flow},reason="queue-full"}} 1' in told
        assert f'{prefix}_request_wait_duration_seconds_count{{{flow},execute="true"}} 1' in told
        assert (
            f'{prefix}_request_wait_duration_seconds_bucket{{{flow},execute="true",le="2"}} 0'
            in told
        )
        assert f"{prefix}_current_inqueue_requests{{{flow}}} 0" in told
        assert f"{prefix}_current_executing_requests{{{flow}}} 1" in told
        assert f"{prefix}_current_executing_seats{{{flow}}} 1" in told
        assert f'{prefix}_nominal_limit_seats{{priority_level="small"}} 1' in told
        assert any(
            line.startswith(f"{prefix}_dispatched_requests_total{{{flow}}}") for line in told
        )


async def test_nobody_waits_for_longer_than_a_quarter_of_the_time_there_is() -> None:
    async with limited(QUEUE) as ask:
        asked = [
            asyncio.ensure_future(ask("GET", target))
            for target in (FUTURE, f"{MAPS}/none?timeout=4s")
        ]
        await ask.clock.advance(0.9)
        assert not any(one.done() for one in asked)
        await ask.clock.advance(0.6)
        assert [one.done() for one in asked] == [False, True]
        assert (await asked[1]).status == 429
        await ask.clock.advance(3)
        assert (await asked[0]).status == 504


async def test_who_leaves_while_waiting_leaves_its_place() -> None:
    async with limited(QUEUE) as ask:
        first, gone = (asyncio.ensure_future(ask("GET", t)) for t in (FUTURE, f"{MAPS}/none"))
        await settle(5)
        gone.cancel()
        await settle(5)
        last = asyncio.ensure_future(ask("GET", f"{MAPS}/none"))
        await ask.clock.advance(4)
        assert ((await first).status, (await last).status) == (504, 404)


async def test_who_leaves_in_the_moment_of_its_turn_gives_its_seat_back() -> None:
    async with limited(QUEUE) as ask:
        first, gone = (asyncio.ensure_future(ask("GET", t)) for t in (FUTURE, f"{MAPS}/none"))
        await settle(5)
        first.add_done_callback(lambda _: gone.cancel())
        await ask.clock.advance(4)
        assert gone.cancelled()
        assert (await ask("GET", f"{MAPS}/none")).status == 404


async def test_the_exempt_and_the_long_running_are_never_held() -> None:
    async with limited(REJECT) as ask:
        held = asyncio.ensure_future(ask("GET", FUTURE))
        await settle(5)
        log = await ask("GET", "/api/v1/namespaces/default/pods/none/log")
        assert (log.status, log.doc["reason"]) == (404, "NotFound")
        assert (await ask("GET", f"{MAPS}/none")).status == 429
        ask.user = User("operator", ("ops", "system:masters"))
        assert (await ask("GET", f"{MAPS}/none")).status == 404
        await ask.clock.advance(4)
        assert (await held).status == 504


async def test_a_watch_is_held_only_while_it_begins() -> None:
    async with limited(REJECT) as ask:
        watches = []
        for _ in range(3):
            watches.append(await ask.watch(f"{MAPS}?watch=true"))
            await settle(2)
        assert (await ask("GET", f"{MAPS}/none")).status == 404
        for watch in watches:
            await watch.close()


async def big_list(ask: Kube) -> SlicedReply:
    reply = await ask.raw("GET", MAPS)
    assert isinstance(reply, SlicedReply)
    await settle(2)
    return reply


async def test_a_large_answer_is_held_until_it_is_sent_or_its_client_is_slow() -> None:
    async with limited(REJECT) as ask:
        for number in range(3):
            made = config_map(f"map-{number}", text="x" * 300_000)
            assert (await ask("POST", MAPS, made)).status == 201
            await settle(2)
        sent = await big_list(ask)
        assert (await ask("GET", f"{MAPS}/none")).status == 429
        body = orjson.loads(b"".join(sent.slices))
        assert len(body["items"]) == 3
        slow = await big_list(ask)
        next(slow.slices)
        assert (await ask("GET", f"{MAPS}/none")).status == 429
        await ask.clock.advance(2)
        assert (await ask("GET", f"{MAPS}/none")).status == 404
        assert len(list(slow.slices)) > 0
        await settle(2)
        told = (await ask("GET", "/metrics")).body.decode()
        executing = "apiserver_flowcontrol_current_executing_seats"
        assert f'{executing}{{priority_level="small",flow_schema="users"}} 1\n' in told


async def test_seats_follow_the_level() -> None:
    level = f"{FLOWS}/prioritylevelconfigurations/small"
    async with limited(REJECT) as ask:
        held = asyncio.ensure_future(ask("GET", FUTURE))
        await settle(5)
        assert (await ask("GET", f"{MAPS}/none")).status == 429
        users, ask.user = ask.user, User("operator", ("ops", "system:masters"))
        limits = {"limitResponse": {"type": "Queue", "queuing": QUEUE["queuing"]}}
        patch = {"spec": {"limited": limits}}
        assert (await ask("PATCH", level, patch, content_type=MERGE)).status == 200
        ask.user = users
        late = asyncio.ensure_future(ask("GET", f"{MAPS}/none"))
        await settle(5)
        assert not late.done()
        ask.user = User("operator", ("ops", "system:masters"))
        assert (await ask("DELETE", level)).status == 200
        ask.user = users
        assert (await ask("GET", f"{MAPS}/none")).headers.get(LEVEL) is None
        await settle(5)
        assert (await late).status == 404
        await ask.clock.advance(4)
        assert (await held).status == 504


async def test_without_seats_nobody_is_held() -> None:
    async with limited(REJECT, seats=0) as ask:
        answers = await at_once(ask, FUTURE, f"{MAPS}/none", f"{MAPS}/none")
        assert [answer.status for answer in answers] == [504, 404, 404]
        assert answers[1].headers[LEVEL]
