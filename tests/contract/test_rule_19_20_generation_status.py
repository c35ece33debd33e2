"""Rules 19 and 20: what counts as a change of the wish, and who writes the status."""

from __future__ import annotations

import pytest

from longshore.core.objects.kinds import (
    CRON_JOB,
    DAEMON_SET,
    DEPLOYMENT,
    HPA,
    JOB,
    PDB,
    PV,
    PVC,
    REPLICA_SET,
    REPLICATION_CONTROLLER,
    RESOURCE_QUOTA,
    STATEFUL_SET,
    Doc,
    Kind,
)
from tests.contract.addresses import collection
from tests.doors.rig import kube
from tests.objects.minimal import minimal

MERGE = "application/merge-patch+json"
# For each kind, a change of its spec that is allowed, and a status that a controller may write.
WITH_STATUS: dict[Kind, tuple[Doc, Doc]] = {
    REPLICATION_CONTROLLER: ({"replicas": 2}, {"replicas": 2}),
    RESOURCE_QUOTA: ({"hard": {"pods": "9"}}, {"used": {"pods": "1"}}),
    PVC: ({"volumeName": "v"}, {"phase": "Bound"}),
    PV: ({"persistentVolumeReclaimPolicy": "Delete"}, {"phase": "Available"}),
    DEPLOYMENT: ({"replicas": 2}, {"replicas": 2}),
    REPLICA_SET: ({"replicas": 2}, {"replicas": 2}),
    DAEMON_SET: ({"minReadySeconds": 2}, {"desiredNumberScheduled": 2}),
    STATEFUL_SET: ({"replicas": 2}, {"replicas": 2}),
    JOB: ({"parallelism": 2}, {"active": 2}),
    CRON_JOB: ({"suspend": True}, {"lastScheduleTime": "2026-01-01T00:00:00Z"}),
    HPA: ({"maxReplicas": 9}, {"currentReplicas": 2}),
    PDB: ({"minAvailable": 2}, {"expectedPods": 2}),
}
every_kind = pytest.mark.parametrize("kind", WITH_STATUS, ids=lambda kind: kind.name)


@every_kind
async def test_the_generation_counts_wishes_only(kind: Kind) -> None:
    wish, status = WITH_STATUS[kind]
    at = f"{collection(kind)}/web"

    async def generation(path: str, patch: Doc) -> int | None:
        answer = await ask("PATCH", path, patch, content_type=MERGE)
        assert answer.status == 200, answer.doc
        found: int | None = answer.doc["metadata"].get("generation")
        return found

    async with kube() as ask:
        await ask("POST", collection(kind), minimal(kind))
        first, second = (1, 2) if kind.counted else (None, None)
        assert await generation(at, {"metadata": {"labels": {"a": "b"}}}) == first
        assert await generation(f"{at}/status", {"status": status}) == first
        assert await generation(at, {"spec": wish}) == second
        assert await generation(at, {"spec": wish}) == second


@every_kind
async def test_each_address_writes_its_own_half(kind: Kind) -> None:
    wish, status = WITH_STATUS[kind]
    at = f"{collection(kind)}/web"
    async with kube() as ask:
        born = (await ask("POST", collection(kind), {**minimal(kind), "status": status})).doc
        assert not status.items() <= born.get("status", {}).items()

        main = (await ask("PUT", at, {**born, "status": status})).doc
        assert main.get("status") == born.get("status")

        wanted = {**born, "spec": {**born["spec"], **wish}, "status": status}
        answer = await ask("PUT", f"{at}/status", wanted)
        assert answer.status == 200, answer.doc
        assert answer.doc["spec"] == born["spec"]
        assert status.items() <= answer.doc["status"].items()
        assert (await ask("GET", f"{at}/status")).doc == (await ask("GET", at)).doc


@every_kind
async def test_a_patch_of_the_status_may_annotate(kind: Kind) -> None:
    _, status = WITH_STATUS[kind]
    async with kube() as ask:
        await ask("POST", collection(kind), minimal(kind))
        patch = {"metadata": {"annotations": {"patched": "yes"}}, "status": status}
        at = f"{collection(kind)}/web/status"
        answer = await ask("PATCH", at, patch, content_type=MERGE)
    assert answer.status == 200, answer.doc
    assert answer.doc["metadata"]["annotations"] == {"patched": "yes"}


async def test_a_senseless_status_is_refused() -> None:
    async with kube() as ask:
        await ask("POST", collection(JOB), minimal(JOB))
        patch = {"status": {"failed": -1}}
        answer = await ask("PATCH", f"{collection(JOB)}/web/status", patch, content_type=MERGE)
    assert (answer.status, answer.doc["reason"]) == (422, "Invalid")
    assert [cause["field"] for cause in answer.doc["details"]["causes"]] == ["status.failed"]
