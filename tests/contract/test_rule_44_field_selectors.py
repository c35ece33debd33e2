"""Rule 44: the fields that each kind may be selected by."""

from __future__ import annotations

import pytest

from longshore.core.objects.kinds import JOB, PVC, REPLICATION_CONTROLLER, SECRET, Kind
from tests.contract.addresses import collection
from tests.doors.rig import kube
from tests.objects.minimal import minimal


@pytest.mark.parametrize(
    ("kind", "status", "selector", "found"),
    [
        (JOB, {"succeeded": 2}, "status.successful=2", 1),
        (JOB, {}, "status.successful=0", 1),
        (JOB, {"succeeded": 2}, "status.successful!=2", 0),
        (REPLICATION_CONTROLLER, {"replicas": 3}, "status.replicas=3", 1),
        (SECRET, None, "type=Opaque,metadata.name=web", 1),
        (PVC, None, "metadata.namespace=default", 1),
    ],
)
async def test_a_field_selects(kind: Kind, status: object, selector: str, found: int) -> None:
    merge = "application/merge-patch+json"
    async with kube() as ask:
        await ask("POST", collection(kind), minimal(kind))
        if status is not None:
            at = f"{collection(kind)}/web/status"
            assert (await ask("PATCH", at, {"status": status}, content_type=merge)).status == 200
        answer = await ask("GET", f"{collection(kind)}?fieldSelector={selector}")
    assert len(answer.doc["items"]) == found


@pytest.mark.parametrize("kind", [JOB, PVC], ids=lambda kind: kind.name)
async def test_other_fields_are_refused_by_name(kind: Kind) -> None:
    async with kube() as ask:
        answer = await ask("GET", f"{collection(kind)}?fieldSelector=spec.suspend=true")
    assert answer.status == 400
    assert "field label not supported: spec.suspend" in answer.doc["message"]
