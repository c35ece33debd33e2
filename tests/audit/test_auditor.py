"""What the audit log tells of requests through the door: who, what, with what outcome, and when a
long answer was over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson

from longshore.base.users import User
from longshore.core.objects.kinds import Doc
from longshore.doors.kit.http import StreamReply
from longshore.doors.kubernetes.audit import policy
from longshore.doors.kubernetes.audit.auditor import Auditor
from longshore.doors.kubernetes.audit.trail import AuditLog
from longshore.doors.kubernetes.door import DoorConfig
from longshore.testing.clock import VirtualClock

from ..doors.rig import ADMIN, Kube, config_map, kube

MAPS = "/api/v1/namespaces/default/configmaps"
SECRETS = "/api/v1/namespaces/default/secrets"


class Kept(AuditLog):
    """Keeps its lines; room says whether more may come."""

    def __init__(self) -> None:
        super().__init__(Path("/nowhere"), VirtualClock(), backlog_max_bytes=1 << 30)

    @property
    def events(self) -> list[Doc]:
        return [orjson.loads(line) for line in self._waiting]

    def fill(self) -> None:
        self._backlog_max_bytes = 0


@asynccontextmanager
async def audited(*rules: dict[str, Any], **more: Any) -> AsyncIterator[tuple[Kube, Kept]]:
    """A door whose policy has these rules; none: the usual policy."""
    doc = {"apiVersion": policy.API_VERSION, "kind": "Policy", "rules": list(rules), **more}
    log = Kept()
    auditor = Auditor(policy.parse(doc if rules else policy.DEFAULT), log, VirtualClock())
    async with kube(DoorConfig(auditor=auditor)) as api:
        yield api, log


async def test_a_change_is_told_with_its_outcome() -> None:
    async with audited() as (api, log):
        made = await api("POST", MAPS, config_map("a"), user_agent="kubectl/v1.33")
        (event,) = log.events
        assert event | {"user": 0, "requestReceivedTimestamp": 0, "stageTimestamp": 0} == {
            "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata",
            "auditID": made.headers["Audit-ID"], "stage": "ResponseComplete", "requestURI": MAPS,
            "verb": "create", "user": 0, "userAgent": "kubectl/v1.33",
            "objectRef": {"resource": "configmaps", "namespace": "default", "apiVersion": "v1"},
            "responseStatus": {"metadata": {}, "code": 201},
            "annotations": {
                "authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": "",
            },
            "requestReceivedTimestamp": 0, "stageTimestamp": 0,
        }  # fmt: skip
        assert event["user"] == {"username": "admin", "groups": list(ADMIN.groups)}
        assert event["stageTimestamp"] == "2026-01-01T00:00:00.000000Z"


async def test_a_refusal_is_told_with_its_reason() -> None:
    async with audited() as (api, log):
        api.user = User("jane", ("system:authenticated",))
        assert (await api("DELETE", f"{MAPS}/a")).status == 403
        (event,) = log.events
        status = event["responseStatus"]
        assert (status["code"], status["reason"]) == (403, "Forbidden")
        assert 'User "jane" cannot delete resource "configmaps"' in status["message"]
        assert event["objectRef"]["name"] == "a"


async def test_who_proves_to_be_nobody_is_told() -> None:
    async with audited() as (api, log):
        api.user = None
        assert (await api("GET", f"{SECRETS}/a", authorization="Bearer wrong")).status == 401
        (event,) = log.events
        assert event["user"]["username"] == "system:anonymous"
        assert event["responseStatus"]["code"] == 401
        assert "wrong" not in str(event)


async def test_who_speaks_for_whom() -> None:
    async with audited() as (api, log):
        await api("POST", MAPS, config_map("a"), impersonate_user="jane")
        (event,) = log.events
        assert event["user"]["username"] == "admin"
        assert event["impersonatedUser"]["username"] == "jane"
        assert event["responseStatus"]["code"] == 403


async def test_a_look_at_a_secret_is_told_and_not_what_was_seen() -> None:
    async with audited() as (api, log):
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "s"},
            "stringData": {"k": "canary"},
        }
        await api("POST", SECRETS, secret)
        await api("GET", f"{SECRETS}/s")
        await api("GET", f"{MAPS}/none")
        assert [(e["verb"], e["objectRef"]["resource"]) for e in log.events] == [
            ("create", "secrets"), ("get", "secrets"), ("get", "configmaps"),
        ]  # fmt: skip
        assert "canary" not in str(log.events)


async def test_bodies_are_told_where_the_policy_says_so() -> None:
    async with audited({"level": "RequestResponse"}, omitManagedFields=True) as (api, log):
        await api("POST", MAPS, config_map("a"))
        received, complete = log.events
        assert [received["stage"], complete["stage"]] == ["RequestReceived", "ResponseComplete"]
        assert received["requestObject"] == config_map("a")
        assert "responseObject" not in received
        assert complete["responseObject"]["metadata"]["uid"]
        assert "managedFields" not in complete["responseObject"]["metadata"]


async def test_long_lists_are_told_as_text_however_they_were_sent() -> None:
    async with audited({"level": "RequestResponse"}) as (api, log):
        for number in range(3):
            await api("POST", MAPS, config_map(f"m-{number}", text="x" * 100_000))
        answer = await api("GET", MAPS, accept_encoding="gzip")
        assert answer.headers["Content-Encoding"] == "gzip"
        assert len(log.events[-1]["responseObject"]["items"]) == 3


async def test_a_watch_is_told_when_it_begins_and_when_it_is_over() -> None:
    async with audited({"level": "Metadata"}, omitStages=["RequestReceived"]) as (api, log):
        reply = await api.raw("GET", f"{MAPS}?watch=1&timeoutSeconds=5")
        assert isinstance(reply, StreamReply)
        assert [event["stage"] for event in log.events] == ["ResponseStarted"]
        await reply.pieces.aclose()
        assert [event["stage"] for event in log.events] == ["ResponseStarted", "ResponseComplete"]
        assert {event["verb"] for event in log.events} == {"watch"}


async def test_what_cannot_be_told_is_not_done() -> None:
    async with audited() as (api, log):
        log.fill()
        refused = await api("POST", MAPS, config_map("a"))
        assert (refused.status, refused.doc["reason"]) == (503, "ServiceUnavailable")
        assert (await api("GET", MAPS)).doc["items"] == []


async def test_nothing_is_told_of_what_the_policy_leaves_out() -> None:
    async with audited() as (api, log):
        await api("GET", "/api/v1/nodes")
        await api("GET", "/version")
        await api("GET", "/healthz")
        assert log.events == []
