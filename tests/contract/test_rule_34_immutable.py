"""Rule 34: what may not change once it is there."""

from __future__ import annotations

import pytest

from longshore.core.objects.kinds import (
    CONFIG_MAP,
    CONTROLLER_REVISION,
    DAEMON_SET,
    DEPLOYMENT,
    JOB,
    PV,
    PVC,
    REPLICA_SET,
    SECRET,
    STATEFUL_SET,
    Doc,
    Kind,
)
from tests.contract.addresses import collection
from tests.doors.rig import kube, pod
from tests.objects.minimal import minimal

MERGE = "application/merge-patch+json"
OTHER = {"spec": {"selector": {"matchLabels": {"app": "other"}}}}


@pytest.mark.parametrize(
    ("kind", "patch", "field"),
    [
        (DEPLOYMENT, OTHER, "spec.selector"),
        (REPLICA_SET, OTHER, "spec.selector"),
        (DAEMON_SET, OTHER, "spec.selector"),
        (STATEFUL_SET, OTHER, "spec"),
        (STATEFUL_SET, {"spec": {"serviceName": "x"}}, "spec"),
        (JOB, OTHER, "spec.selector"),
        (JOB, {"spec": {"completions": 5}}, "spec.completions"),
        (JOB, {"spec": {"template": {"spec": {"hostNetwork": True}}}}, "spec.template"),
        (PVC, {"spec": {"accessModes": ["ReadWriteMany"]}}, "spec"),
        (PV, {"spec": {"hostPath": {"path": "/x"}}}, "spec.persistentvolumesource"),
        (CONTROLLER_REVISION, {"data": {"x": 1}}, "data"),
        (SECRET, {"type": "example.com/other"}, "type"),
    ],
    ids=lambda value: value.name if isinstance(value, Kind) else None,
)
async def test_a_change_is_refused_with_its_field(kind: Kind, patch: Doc, field: str) -> None:
    at = f"{collection(kind)}/web"
    async with kube() as ask:
        before = (await ask("POST", collection(kind), minimal(kind))).doc
        answer = await ask("PATCH", at, patch, content_type=MERGE)
        assert (answer.status, answer.doc["reason"]) == (422, "Invalid")
        assert field in [cause["field"] for cause in answer.doc["details"]["causes"]]
        assert (await ask("GET", at)).doc == before


@pytest.mark.parametrize("kind", [CONFIG_MAP, SECRET], ids=lambda kind: kind.name)
async def test_what_is_declared_immutable_stays(kind: Kind) -> None:
    at = f"{collection(kind)}/web"
    async with kube() as ask:
        await ask("POST", collection(kind), {**minimal(kind), "immutable": True})
        for patch in ({"data": {"a": "Yw=="}}, {"immutable": False}):
            answer = await ask("PATCH", at, patch, content_type=MERGE)
            assert answer.status == 422
            reason = answer.doc["details"]["causes"][0]["message"]
            assert reason == "Forbidden: field is immutable when `immutable` is set"
        free = {"metadata": {"labels": {"a": "b"}}}
        assert (await ask("PATCH", at, free, content_type=MERGE)).status == 200


@pytest.mark.parametrize(
    ("spec", "status"),
    [
        ({"activeDeadlineSeconds": 10}, 200),
        ({"hostname": "other"}, 422),
        ({"restartPolicy": "Never"}, 422),
        ({"nodeName": "n"}, 422),
    ],
)
async def test_few_fields_of_a_pod_may_change(spec: Doc, status: int) -> None:
    pods = "/api/v1/namespaces/default/pods"
    async with kube() as ask:
        await ask("POST", pods, pod("p"))
        answer = await ask("PATCH", f"{pods}/p", {"spec": spec}, content_type=MERGE)
    assert answer.status == status
