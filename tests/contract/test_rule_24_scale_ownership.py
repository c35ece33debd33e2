"""Rules 21 and 24: who scales owns spec.replicas of the object that is scaled."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.core.objects.kinds import Doc
from tests.doors.rig import Answer, Kube, kube

APPLY, MERGE = "application/apply-patch+yaml", "application/merge-patch+json"
APPS = "/apis/apps/v1/namespaces/default"
SCALED = [
    ("Deployment", "apps/v1", f"{APPS}/deployments"),
    ("ReplicaSet", "apps/v1", f"{APPS}/replicasets"),
    ("StatefulSet", "apps/v1", f"{APPS}/statefulsets"),
    ("ReplicationController", "v1", "/api/v1/namespaces/default/replicationcontrollers"),
]


def body(kind: str, version: str, replicas: int | None = 1) -> Doc:
    labels = {"app": "a"}
    containers = [{"name": "c", "image": "i"}]
    spec: Doc = {
        "selector": labels if version == "v1" else {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
    }
    if replicas is not None:
        spec["replicas"] = replicas
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "a"}, "spec": spec}


def scale(replicas: int, **metadata: Any) -> Doc:
    return {
        "apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "a", **metadata},
        "spec": {"replicas": replicas},
    }  # fmt: skip


async def apply(ask: Kube, path: str, body: Doc, manager: str, more: str = "") -> Answer:
    return await ask("PATCH", f"{path}?fieldManager={manager}{more}", body, content_type=APPLY)


async def owners(ask: Kube, path: str) -> tuple[int, list[tuple[str, str, str, str]]]:
    """Replicas, and who owns them: manager, operation, version and subresource."""
    doc = (await ask("GET", path)).doc
    found = [
        (e["manager"], e["operation"], e["apiVersion"], e.get("subresource", ""))
        for e in doc["metadata"]["managedFields"]
        if "f:replicas" in e["fieldsV1"].get("f:spec", {})
    ]
    return doc["spec"]["replicas"], sorted(found)


@pytest.mark.parametrize(("kind", "version", "path"), SCALED)
async def test_replicas_change_hands(kind: str, version: str, path: str) -> None:
    """The story of upstream's test/integration/apiserver/apply/scale_test.go."""
    one, config = f"{path}/a", body(kind, version)
    async with kube() as ask:
        assert (await apply(ask, one, config, "applier")).status == 201
        assert await owners(ask, one) == (1, [("applier", "Apply", version, "")])

        more = {"spec": {"replicas": 5}}
        await ask("PATCH", f"{one}/scale?fieldManager=scaler", more, content_type=MERGE)
        assert await owners(ask, one) == (5, [("scaler", "Update", version, "scale")])

        refused = await apply(ask, one, config, "applier")
        assert refused.status == 409
        assert refused.doc["message"].startswith(
            f'Apply failed with 1 conflict: conflict with "scaler" with subresource "scale" using '
            f"{version}"
        )
        assert (await apply(ask, one, config, "applier", "&force=true")).status == 200
        assert await owners(ask, one) == (1, [("applier", "Apply", version, "")])

        refused = await apply(ask, f"{one}/scale", scale(17), "scales")
        assert refused.status == 409
        assert refused.doc["details"]["causes"] == [{
            "reason": "FieldManagerConflict", "message": 'conflict with "applier"',
            "field": ".spec.replicas",
        }]  # fmt: skip
        assert (await apply(ask, f"{one}/scale", scale(17), "scales", "&force=true")).status == 200
        assert await owners(ask, one) == (17, [("scales", "Apply", version, "scale")])

        await ask("PUT", f"{one}/scale?fieldManager=putter", scale(7))
        assert await owners(ask, one) == (7, [("putter", "Update", version, "scale")])

        await apply(ask, f"{one}/scale", scale(7), "second")
        both = [("putter", "Update", version, "scale"), ("second", "Apply", version, "scale")]
        assert await owners(ask, one) == (7, both)

        await ask("PATCH", f"{one}/scale?fieldManager=scaler", more, content_type=MERGE)
        assert await owners(ask, one) == (5, [("scaler", "Update", version, "scale")])


async def test_the_rest_of_an_entry_stays() -> None:
    kind, version, path = SCALED[0]
    async with kube() as ask:
        await apply(ask, f"{path}/a", body(kind, version), "applier")
        await ask("PUT", f"{path}/a/scale?fieldManager=putter", scale(7))
        metadata = (await ask("GET", f"{path}/a")).doc["metadata"]
        mine = next(e for e in metadata["managedFields"] if e["manager"] == "applier")
        assert set(mine["fieldsV1"]["f:spec"]) == {"f:selector", "f:template"}
        # What no longer belongs to the applier may leave its manifest, and keeps its value.
        left = await apply(ask, f"{path}/a", body(kind, version, None), "applier")
        assert left.doc["spec"]["replicas"] == 7


async def test_a_status_of_a_scale_is_not_written() -> None:
    kind, version, path = SCALED[0]
    async with kube() as ask:
        await apply(ask, f"{path}/a", body(kind, version), "applier")
        status = {"status": {"replicas": 42}}
        done = await ask("PATCH", f"{path}/a/scale?fieldManager=s", status, content_type=MERGE)
        assert (done.status, done.doc["status"]["replicas"]) == (200, 0)
        assert await owners(ask, f"{path}/a") == (1, [("applier", "Apply", version, "")])


async def test_a_scale_shows_no_managers() -> None:
    kind, version, path = SCALED[0]
    async with kube() as ask:
        await apply(ask, f"{path}/a", body(kind, version), "applier")
        done = await ask("PUT", f"{path}/a/scale", scale(3))
        assert "managedFields" not in done.doc["metadata"]
        stolen = scale(3, managedFields=[])
        await ask("PUT", f"{path}/a/scale", stolen)
        managers = (await ask("GET", f"{path}/a")).doc["metadata"]["managedFields"]
        assert len(managers) == 2


@pytest.mark.parametrize("wanted", [{"uid": "other"}, {"resourceVersion": "1"}])
async def test_preconditions_of_a_scale(wanted: Doc) -> None:
    kind, version, path = SCALED[0]
    async with kube() as ask:
        await apply(ask, f"{path}/a", body(kind, version), "applier")
        put = await ask("PUT", f"{path}/a/scale", scale(3, **wanted))
        assert (put.status, put.doc["reason"]) == (409, "Conflict")
        applied = await apply(ask, f"{path}/a/scale", scale(3, **wanted), "s", "&force=true")
        assert (applied.status, applied.doc["reason"]) == (409, "Conflict")


async def test_a_scale_is_applied_to_what_is_there() -> None:
    async with kube() as ask:
        answer = await apply(ask, f"{APPS}/deployments/a/scale", scale(3), "s")
        assert answer.status == 404


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({"kind": "Deployment"}, 400, "invalid object type"),
        ({"spec": {"replicas": -1}}, 422, "must be greater than or equal to 0"),
        ({"spec": {"replicas": 2**31}}, 400, "cannot unmarshal number"),
        ({"spec": {"surge": 1}}, 400, ".spec.surge: field not declared in schema"),
        ({"metadata": {"name": "b"}}, 400, "does not match the name on the URL"),
        ({"metadata": {"name": "a", "managedFields": []}}, 400, "managedFields must be nil"),
    ],
)
async def test_what_is_no_scale(change: Doc, code: int, said: str) -> None:
    kind, version, path = SCALED[0]
    async with kube() as ask:
        await apply(ask, f"{path}/a", body(kind, version), "applier")
        refused = await apply(ask, f"{path}/a/scale", scale(3) | change, "s", "&force=true")
        assert (refused.status, said in refused.doc["message"]) == (code, True), refused.doc
