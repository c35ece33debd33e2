"""Kinds with several versions: one object, shown as each client asks for it."""

from __future__ import annotations

from typing import Any

from tests.doors.rig import kube

MERGE = "application/merge-patch+json"
V1 = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers"
V2 = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"
EVENTS = "/api/v1/namespaces/default/events"
EVENTS_V1 = "/apis/events.k8s.io/v1/namespaces/default/events"


def hpa(version: str, **spec: Any) -> dict[str, Any]:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    return {
        "apiVersion": f"autoscaling/{version}", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web"}, "spec": {"scaleTargetRef": target, "maxReplicas": 5, **spec},
    }  # fmt: skip


async def test_an_autoscaler_of_v1_is_one_of_v2() -> None:
    async with kube() as ask:
        made = await ask("POST", V1, hpa("v1", targetCPUUtilizationPercentage=60))
        assert made.status == 201, made.doc
        assert made.doc["apiVersion"] == "autoscaling/v1"
        assert made.doc["spec"]["targetCPUUtilizationPercentage"] == 60
        shown = (await ask("GET", f"{V2}/web")).doc
        assert shown["apiVersion"] == "autoscaling/v2"
        (metric,) = shown["spec"]["metrics"]
        assert metric["resource"]["target"] == {"type": "Utilization", "averageUtilization": 60}
        assert shown["metadata"]["uid"] == made.doc["metadata"]["uid"]


async def test_what_v1_cannot_say_survives_a_patch_through_it() -> None:
    memory = {
        "type": "Resource",
        "resource": {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 70}},
    }
    async with kube() as ask:
        await ask("POST", V2, hpa("v2", metrics=[memory]))
        patched = await ask("PATCH", f"{V1}/web", {"spec": {"maxReplicas": 9}}, content_type=MERGE)
        assert patched.status == 200, patched.doc
        shown = (await ask("GET", f"{V2}/web")).doc
        assert (shown["spec"]["maxReplicas"], shown["spec"]["metrics"]) == (9, [memory])
        assert "annotations" not in shown["metadata"]


async def test_events_of_both_groups_are_the_same_events() -> None:
    event = {
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e"},
        "eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "example.com/c",
        "reportingInstance": "c-1", "action": "Trying", "reason": "Try", "type": "Normal",
        "note": "hello", "regarding": {"kind": "Pod", "name": "p", "namespace": "default"},
    }  # fmt: skip
    async with kube() as ask:
        watcher = await ask.watch(f"{EVENTS_V1}?watch=1")
        made = await ask("POST", EVENTS_V1, event)
        assert made.status == 201, made.doc
        core = (await ask("GET", f"{EVENTS}/e")).doc
        assert (core["message"], core["involvedObject"]["name"]) == ("hello", "p")
        assert core["reportingComponent"] == "example.com/c"
        seen = (await watcher.event())["object"]
        assert (seen["apiVersion"], seen["note"]) == ("events.k8s.io/v1", "hello")
        listed = (await ask("GET", EVENTS_V1)).doc["items"]
        assert [one["regarding"]["name"] for one in listed] == ["p"]
        await watcher.close()
