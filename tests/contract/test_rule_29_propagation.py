"""Rules 29 and 30: what becomes of dependents is written into finalizers of their owner."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.core.objects.kinds import Doc
from tests.doors.rig import Kube, config_map, kube, pod

MAPS, PODS = "/api/v1/namespaces/default/configmaps", "/api/v1/namespaces/default/pods"
JOBS = "/apis/batch/v1/namespaces/default/jobs"
CRON_JOBS = "/apis/batch/v1/namespaces/default/cronjobs"
EVENTS = "/api/v1/namespaces/default/events"
HOLD = "example.com/hold"
_SPEC = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "nginx:1.27"}]}


def job(**metadata: Any) -> Doc:
    return {"metadata": {"name": "a", **metadata}, "spec": {"template": {"spec": _SPEC}}}


async def finalizers(ask: Kube, path: str) -> list[str] | None:
    answer = await ask("GET", path)
    return answer.doc["metadata"].get("finalizers", []) if answer.status == 200 else None


@pytest.mark.parametrize(
    ("first", "second", "left"),
    [
        # What is said last counts, and what was said counts where nothing is said.
        ("Foreground", "Orphan", ["orphan"]),
        ("Orphan", "Foreground", ["foregroundDeletion"]),
        ("Foreground", "Foreground", ["foregroundDeletion"]),
        ("Foreground", "", ["foregroundDeletion"]),
        ("Orphan", "", ["orphan"]),
        ("Foreground", "Background", None),
        ("Orphan", "Background", None),
    ],
)
async def test_a_second_delete_may_say_something_else(
    first: str, second: str, left: list[str] | None
) -> None:
    async with kube() as ask:
        await ask("POST", MAPS, config_map("a"))
        await ask("DELETE", f"{MAPS}/a", {"propagationPolicy": first})
        again = {"propagationPolicy": second} if second else None
        assert (await ask("DELETE", f"{MAPS}/a", again)).status == 200
        assert await finalizers(ask, f"{MAPS}/a") == left


@pytest.mark.parametrize("given", ["orphan", "foregroundDeletion"])
async def test_a_finalizer_of_the_object_is_what_it_wants(given: str) -> None:
    async with kube() as ask:
        await ask("POST", JOBS, job(finalizers=[given, HOLD]))
        await ask("DELETE", f"{JOBS}/a")
        assert await finalizers(ask, f"{JOBS}/a") == [given, HOLD]


async def test_other_finalizers_stay_in_their_place() -> None:
    async with kube() as ask:
        held = config_map("a") | {"metadata": {"name": "a", "finalizers": ["orphan", HOLD]}}
        await ask("POST", MAPS, held)
        await ask("DELETE", f"{MAPS}/a", {"propagationPolicy": "Foreground"})
        assert await finalizers(ask, f"{MAPS}/a") == [HOLD, "foregroundDeletion"]


async def test_cron_jobs_take_their_jobs_with_them() -> None:
    async with kube() as ask:
        spec = {"schedule": "* * * * *", "jobTemplate": {"spec": job()["spec"]}}
        await ask("POST", CRON_JOBS, {"metadata": {"name": "a"}, "spec": spec})
        assert (await ask("DELETE", f"{CRON_JOBS}/a")).status == 200
        assert await finalizers(ask, f"{CRON_JOBS}/a") is None


async def test_a_collection_of_jobs_keeps_dependents_and_warns() -> None:
    async with kube() as ask:
        await ask("POST", JOBS, job())
        silent = await ask("DELETE", JOBS)
        assert "child pods are preserved by default" in silent.headers["Warning"]
        assert await finalizers(ask, f"{JOBS}/a") == ["orphan"]


async def test_nothing_depends_on_events() -> None:
    async with kube() as ask:
        involved = {"kind": "Pod", "name": "p", "namespace": "default"}
        made = await ask("POST", EVENTS, {"metadata": {"name": "a"}, "involvedObject": involved})
        assert made.status == 201, made.doc
        gone = await ask("DELETE", f"{EVENTS}/a", {"propagationPolicy": "Foreground"})
        assert gone.status == 200
        assert await finalizers(ask, f"{EVENTS}/a") is None


async def test_a_pod_on_its_way_out_is_not_told_anew() -> None:
    async with kube() as ask:
        await ask("POST", PODS, pod("p"))
        target = {"metadata": {"name": "p"}, "target": {"name": "n"}}
        await ask("POST", f"{PODS}/p/binding", target)
        first = await ask("DELETE", f"{PODS}/p", {"propagationPolicy": "Foreground"})
        for options in (None, {"propagationPolicy": "Background"}, {"gracePeriodSeconds": 40}):
            again = await ask("DELETE", f"{PODS}/p", options)
            assert (again.status, again.doc["metadata"]) == (200, first.doc["metadata"])
        shorter = {"gracePeriodSeconds": 0, "propagationPolicy": "Background"}
        await ask("DELETE", f"{PODS}/p", shorter)
        assert await finalizers(ask, f"{PODS}/p") is None


@pytest.mark.parametrize(("orphan", "status"), [(False, 202), (True, 200)])
async def test_who_waits_for_dependents_in_the_old_way_is_told_that_it_takes_time(
    orphan: bool, status: int
) -> None:
    async with kube() as ask:
        await ask("POST", MAPS, config_map("a") | {"metadata": {"name": "a", "finalizers": [HOLD]}})
        answer = await ask("DELETE", f"{MAPS}/a", {"orphanDependents": orphan})
        assert answer.status == status
        assert answer.doc["kind"] == "ConfigMap"


@pytest.mark.parametrize(
    ("owners", "said"),
    [
        (
            [{"kind": "Job", "name": "j", "uid": "u"}],
            "apiVersion: Required value: must not be empty",
        ),
        (
            [{"apiVersion": "batch/v1", "name": "j", "uid": "u"}],
            "kind: Required value: must not be empty",
        ),
        (
            [{"apiVersion": "batch/v1", "kind": "Job", "uid": "u"}],
            "name: Required value: must not be empty",
        ),
        (
            [{"apiVersion": "batch/v1", "kind": "Job", "name": "j"}],
            "uid: Required value: must not be empty",
        ),
        (
            [
                {"apiVersion": "v1", "kind": "Pod", "name": n, "uid": n, "controller": True}
                for n in "ab"
            ],
            "Only one reference can have Controller set to true",
        ),
        (
            [{"apiVersion": "a/b/c", "kind": "Job", "name": "j", "uid": "u"}],
            "must be <group>/<version> or <version>",
        ),
        (
            [{"apiVersion": "v1", "kind": "Event", "name": "e", "uid": "u"}],
            "is disallowed from being an owner",
        ),
    ],
)
async def test_owners_are_named_in_full(owners: list[Doc], said: str) -> None:
    async with kube() as ask:
        body = config_map("a") | {"metadata": {"name": "a", "ownerReferences": owners}}
        refused = await ask("POST", MAPS, body)
        assert refused.status == 422
        assert said in refused.doc["message"], refused.doc["message"]


async def test_owners_that_are_named_twice_are_named_once() -> None:
    async with kube() as ask:
        owner = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"}
        body = config_map("a") | {"metadata": {"name": "a", "ownerReferences": [owner, owner]}}
        made = await ask("POST", MAPS, body)
        assert made.doc["metadata"]["ownerReferences"] == [owner]
        assert made.headers["Warning"] == (
            '299 - ".metadata.ownerReferences contains duplicate entries; API server dedups owner '
            "references in 1.20+, and may reject such requests as early as 1.24; please fix your "
            'requests; duplicate UID(s) observed: u"'
        )
