"""Rules 28 and 29: what a delete says, what it leaves, and how it is answered."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.core.objects.kinds import Doc
from tests.doors.rig import Kube, config_map, kube, pod

MAPS, PODS = "/api/v1/namespaces/default/configmaps", "/api/v1/namespaces/default/pods"
JOBS = "/apis/batch/v1/namespaces/default/jobs"
RCS = "/api/v1/namespaces/default/replicationcontrollers"
_POD_SPEC = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "nginx:1.27"}]}


def _job() -> Doc:
    return {"metadata": {"name": "j"}, "spec": {"template": {"spec": _POD_SPEC}}}


def _rc() -> Doc:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": _POD_SPEC | {"restartPolicy": "Always"}}
    return {"metadata": {"name": "j"}, "spec": {"selector": {"a": "b"}, "template": template}}


async def _running(ask: Kube, name: str = "p") -> None:
    await ask("POST", PODS, pod(name))
    target = {"metadata": {"name": name}, "target": {"kind": "Node", "name": "n"}}
    assert (await ask("POST", f"{PODS}/{name}/binding", target)).status == 201


async def test_grace_marks_a_pod_that_runs_and_can_only_be_shortened() -> None:
    async with kube() as ask:
        await _running(ask)
        first = await ask("DELETE", f"{PODS}/p", {"gracePeriodSeconds": 20})
        assert first.status == 200
        metadata = first.doc["metadata"]
        assert metadata["deletionGracePeriodSeconds"] == 20 and metadata["generation"] == 2
        longer = (await ask("DELETE", f"{PODS}/p", {"gracePeriodSeconds": 90})).doc["metadata"]
        assert longer["deletionTimestamp"] == metadata["deletionTimestamp"]
        shorter = (await ask("DELETE", f"{PODS}/p", {"gracePeriodSeconds": 5})).doc["metadata"]
        assert shorter["deletionGracePeriodSeconds"] == 5
        assert shorter["deletionTimestamp"] < metadata["deletionTimestamp"]
        assert (await ask("DELETE", f"{PODS}/p", {"gracePeriodSeconds": 0})).status == 200
        assert (await ask("GET", f"{PODS}/p")).status == 404


async def test_a_grace_below_nothing_is_one_second() -> None:
    async with kube() as ask:
        await _running(ask)
        answer = await ask("DELETE", f"{PODS}/p?gracePeriodSeconds=-7")
        assert answer.doc["metadata"]["deletionGracePeriodSeconds"] == 1


async def test_finalizers_keep_an_object_until_the_last_is_gone() -> None:
    async with kube() as ask:
        held = config_map("a") | {"metadata": {"name": "a", "finalizers": ["example.com/hold"]}}
        await ask("POST", MAPS, held)
        marked = await ask("DELETE", f"{MAPS}/a")
        assert marked.status == 200 and marked.doc["kind"] == "ConfigMap"
        assert marked.doc["metadata"]["deletionTimestamp"]
        again = await ask("DELETE", f"{MAPS}/a")
        assert again.doc["metadata"]["resourceVersion"] == marked.doc["metadata"]["resourceVersion"]
        merge = {"content_type": "application/merge-patch+json"}
        await ask("PATCH", f"{MAPS}/a", {"metadata": {"finalizers": None}}, **merge)
        assert (await ask("GET", f"{MAPS}/a")).status == 404


async def test_preconditions_are_conflicts() -> None:
    async with kube() as ask:
        await ask("POST", MAPS, config_map("a"))
        for wants in ({"uid": "other"}, {"resourceVersion": "1"}):
            answer = await ask("DELETE", f"{MAPS}/a", {"preconditions": wants})
            assert (answer.status, answer.doc["reason"]) == (409, "Conflict")
        assert (await ask("GET", f"{MAPS}/a")).status == 200


@pytest.mark.parametrize(
    ("options", "finalizers"),
    [
        ({"propagationPolicy": "Foreground"}, ["foregroundDeletion"]),
        ({"propagationPolicy": "Orphan"}, ["orphan"]),
        ({"orphanDependents": True}, ["orphan"]),
    ],
)
async def test_a_policy_is_a_finalizer(options: Doc, finalizers: list[str]) -> None:
    async with kube() as ask:
        await ask("POST", MAPS, config_map("a"))
        left = await ask("DELETE", f"{MAPS}/a", options)
        assert (left.status, left.doc["metadata"]["finalizers"]) == (200, finalizers)


@pytest.mark.parametrize(("path", "body", "warned"), [(JOBS, _job(), True), (RCS, _rc(), False)])
async def test_what_is_older_than_collection_keeps_dependents_unless_told(
    path: str, body: Doc, warned: bool
) -> None:
    async with kube() as ask:
        assert (await ask("POST", path, body)).status == 201
        left = await ask("DELETE", f"{path}/j")
        assert left.doc["metadata"]["finalizers"] == ["orphan"]
        assert ("Warning" in left.headers) == warned
        if warned:
            assert "child pods are preserved by default" in left.headers["Warning"]
        background = await ask("DELETE", f"{path}/j?propagationPolicy=Background")
        assert background.doc["status"] == "Success" and "Warning" not in background.headers


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        ({"propagationPolicy": "Later"}, 422, "propagationPolicy: Unsupported value"),
        (
            {"propagationPolicy": "Orphan", "orphanDependents": True}, 422,
            "orphanDependents and deletionPropagation cannot be both set",
        ),
        ({"gracePeriodSeconds": "5"}, 400, "gracePeriodSeconds"),
        ({"preconditions": []}, 400, "preconditions"),
        ({"kind": "Pod"}, 400, "DeleteOptions"),
        ([], 400, ""),
    ],
)  # fmt: skip
async def test_options_that_are_none(options: Any, status: int, message: str) -> None:
    async with kube() as ask:
        await ask("POST", MAPS, config_map("a"))
        answer = await ask("DELETE", f"{MAPS}/a", options)
        assert answer.status == status and message in answer.doc["message"], answer.doc
        assert (await ask("GET", f"{MAPS}/a")).status == 200


async def test_a_collection_is_deleted_by_selector_and_listed() -> None:
    async with kube() as ask:
        await ask("POST", MAPS, config_map("a"))
        await ask("POST", MAPS, config_map("b"))
        gone = (await ask("DELETE", f"{MAPS}?fieldSelector=metadata.name=a")).doc
        assert gone["kind"] == "ConfigMapList"
        assert [item["metadata"]["name"] for item in gone["items"]] == ["a"]
        assert [i["metadata"]["name"] for i in (await ask("GET", MAPS)).doc["items"]] == ["b"]


async def test_collections_of_all_namespaces_are_only_read() -> None:
    async with kube() as ask:
        await ask("POST", MAPS, config_map("a"))
        everywhere = MAPS.replace("/namespaces/default", "")
        answer = await ask("DELETE", everywhere)
        assert (answer.status, answer.doc["reason"]) == (405, "MethodNotAllowed")
        assert len((await ask("GET", everywhere)).doc["items"]) == 1
