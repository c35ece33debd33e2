"""Rule 21: the scale subresource."""

from __future__ import annotations

import pytest

from longshore.core.objects.kinds import (
    DEPLOYMENT,
    REPLICA_SET,
    REPLICATION_CONTROLLER,
    STATEFUL_SET,
    Kind,
)
from tests.contract.addresses import collection
from tests.doors.rig import kube
from tests.objects.minimal import minimal

MERGE = "application/merge-patch+json"
scaled = pytest.mark.parametrize(
    "kind",
    [DEPLOYMENT, REPLICA_SET, REPLICATION_CONTROLLER, STATEFUL_SET],
    ids=lambda kind: kind.name,
)


@scaled
async def test_a_scale_says_what_is_and_selects_as_text(kind: Kind) -> None:
    async with kube() as ask:
        parent = (await ask("POST", collection(kind), minimal(kind, replicas=3))).doc
        scale = (await ask("GET", f"{collection(kind)}/web/scale")).doc
    assert (scale["apiVersion"], scale["kind"]) == ("autoscaling/v1", "Scale")
    assert scale["spec"] == {"replicas": 3}
    assert scale["status"] == {"replicas": 0, "selector": "app=web"}
    for field in ("uid", "resourceVersion", "name", "namespace"):
        assert scale["metadata"][field] == parent["metadata"][field]


@scaled
async def test_a_scale_writes_replicas_and_nothing_else(kind: Kind) -> None:
    at = f"{collection(kind)}/web"
    async with kube() as ask:
        before = (await ask("POST", collection(kind), minimal(kind))).doc
        scale = (await ask("GET", f"{at}/scale")).doc
        put = await ask("PUT", f"{at}/scale", {**scale, "spec": {"replicas": 4}})
        assert (put.status, put.doc["spec"]) == (200, {"replicas": 4})
        after = (await ask("GET", at)).doc
        assert after["spec"] == {**before["spec"], "replicas": 4}
        assert after["metadata"]["generation"] == 2
        stale = await ask("PUT", f"{at}/scale", {**scale, "spec": {"replicas": 5}})
        assert (stale.status, stale.doc["reason"]) == (409, "Conflict")
        patch = {"spec": {"replicas": 6}}
        assert (await ask("PATCH", f"{at}/scale", patch, content_type=MERGE)).status == 200
        assert (await ask("GET", at)).doc["spec"]["replicas"] == 6


@scaled
async def test_less_than_nothing_is_refused(kind: Kind) -> None:
    at = f"{collection(kind)}/web/scale"
    async with kube() as ask:
        await ask("POST", collection(kind), minimal(kind))
        patch = {"spec": {"replicas": -1}}
        answer = await ask("PATCH", at, patch, content_type=MERGE)
    assert (answer.status, answer.doc["reason"]) == (422, "Invalid")
    assert answer.doc["details"]["causes"][0]["field"] == "spec.replicas"
