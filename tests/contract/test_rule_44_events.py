"""Rule 44: core/v1 and events.k8s.io/v1 share one store; who asks in the newer is held to more."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.core.objects.kinds import Doc
from tests.doors.rig import Answer, Kube, kube

OLD = "/api/v1/namespaces/default/events"
NEW = "/apis/events.k8s.io/v1/namespaces/default/events"
MERGE = {"content_type": "application/merge-patch+json"}
TIME = "2026-01-01T00:00:00.000001Z"


def new(**more: Any) -> Doc:
    return {
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e"},
        "eventTime": TIME, "type": "Normal", "reason": "Tested", "action": "Testing",
        "reportingController": "example.com/test", "reportingInstance": "test-1",
        "regarding": {"kind": "Pod", "name": "p", "namespace": "default"}, "note": "hello", **more,
    }  # fmt: skip


def old(**more: Any) -> Doc:
    about = {"kind": "Pod", "name": "p", "namespace": "default"}
    return {"metadata": {"name": "e"}, "involvedObject": about, **more}


async def test_what_is_made_in_one_version_is_there_in_the_other() -> None:
    async with kube() as ask:
        assert (await ask("POST", NEW, new())).status == 201
        seen = (await ask("GET", f"{OLD}/e")).doc
        assert (seen["message"], seen["reportingComponent"]) == ("hello", "example.com/test")
        assert seen["involvedObject"]["name"] == "p"


def _without(field: str) -> Doc:
    return {key: value for key, value in new().items() if key != field}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (_without("eventTime"), "eventTime: Required value"),
        (_without("reportingController"), "reportingController: Required value"),
        (_without("reportingInstance"), "reportingInstance: Required value"),
        (_without("action"), "action: Required value"),
        (_without("reason"), "reason: Required value"),
        (new(type="Odd"), 'type: Invalid value: "": has invalid value: Odd'),
        (_without("type"), 'type: Invalid value: "": has invalid value: '),
        (new(reportingController="a b"), 'reportingController: Invalid value: "a b"'),
        (new(reportingInstance="x" * 129), "reportingInstance: Invalid value: \"\": can have at most 128 "),
        (new(action="x" * 129), "action: Invalid value: \"\": can have at most 128 characters"),
        (new(reason="x" * 129), "reason: Invalid value: \"\": can have at most 128 characters"),
        (new(note="x" * 1025), "message: Invalid value: \"\": can have at most 1024 characters"),
        (new(series={"count": 1, "lastObservedTime": TIME}), "series.count: Invalid value: \"\": should be"),
        (new(series={"count": 2, "lastObservedTime": None}), "series.lastObservedTime: Required value"),
        (new(deprecatedCount=1), 'count: Invalid value: "": needs to be unset'),
        (new(deprecatedFirstTimestamp="2026-01-01T00:00:00Z"), "firstTimestamp: Invalid value"),
        (new(deprecatedLastTimestamp="2026-01-01T00:00:00Z"), "lastTimestamp: Invalid value"),
        (new(deprecatedSource={"component": "c"}), 'source: Invalid value: "": needs to be unset'),
    ],
)  # fmt: skip
async def test_new_ones_say_all_of_it(body: Doc, said: str) -> None:
    async with kube() as ask:
        refused = await ask("POST", NEW, body)
        assert (refused.status, refused.doc["reason"]) == (422, "Invalid")
        assert said in refused.doc["message"]


async def test_old_ones_say_little() -> None:
    async with kube() as ask:
        assert (await ask("POST", OLD, old(type="Odd", count=3))).status == 201


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (old(eventTime=TIME), "reportingComponent: Required value"),
        (
            old(involvedObject={"kind": "Pod", "namespace": "shop"}),
            "does not match event.namespace",
        ),
    ],
)
async def test_but_what_they_say_makes_sense(body: Doc, said: str) -> None:
    async with kube() as ask:
        refused = await ask("POST", OLD, body)
        assert refused.status == 422 and said in refused.doc["message"]


async def _changed(ask: Kube, path: str, change: Doc) -> Answer:
    await ask("POST", NEW, new())
    return await ask("PATCH", f"{path}/e", change, **MERGE)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"note": "other"}, "message"), ({"reason": "Other"}, "reason"), ({"type": "Warning"}, "type"),
        ({"action": "Other"}, "action"), ({"regarding": {"name": "q"}}, "involvedObject"),
        ({"related": {"name": "q"}}, "related"), ({"reportingInstance": "i"}, "reportingInstance"),
        ({"reportingController": "c"}, "reportingComponent"), ({"deprecatedCount": 2}, "count"),
        ({"eventTime": "2026-01-01T00:00:01.000000Z"}, "eventTime"),
    ],
)  # fmt: skip
async def test_in_the_newer_version_only_the_series_changes(change: Doc, field: str) -> None:
    async with kube() as ask:
        refused = await _changed(ask, NEW, change)
        assert refused.status == 422, refused.doc
        causes = {one["field"]: one["message"] for one in refused.doc["details"]["causes"]}
        assert causes[field].endswith("field is immutable")


async def test_a_series_goes_on() -> None:
    async with kube() as ask:
        series = {"series": {"count": 2, "lastObservedTime": TIME}}
        assert (await _changed(ask, NEW, series)).doc["series"] == series["series"]


async def test_the_older_version_lets_more_be_changed() -> None:
    async with kube() as ask:
        assert (await _changed(ask, OLD, {"message": "other"})).doc["message"] == "other"


async def test_a_finer_time_is_the_same_time() -> None:
    async with kube() as ask:
        change = {"eventTime": TIME.replace("1Z", "1999Z")}
        assert (await _changed(ask, NEW, change)).status == 200
