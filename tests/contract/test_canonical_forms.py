"""Quantities, times and bytes are served as upstream's types write them, however they were written
(apimachinery/pkg/api/resource/quantity.go, pkg/apis/meta/v1/time.go), and what is written otherwise is no change."""

from __future__ import annotations

from typing import Any

import pytest

from tests.doors.rig import Answer, Kube, kube
from tests.doors.test_protobuf import body, fields

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
QUOTAS = "/api/v1/namespaces/default/resourcequotas"
PODS = "/api/v1/namespaces/default/pods"
WRITTEN, SERVED = {"cpu": "0.5", "memory": "1024Mi"}, {"cpu": "500m", "memory": "1Gi"}


def quota(hard: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": hard},
    }  # fmt: skip


async def applied(ask: Kube, hard: dict[str, Any], manager: str) -> Answer:
    return await ask("PATCH", f"{QUOTAS}/q?fieldManager={manager}", quota(hard), content_type=APPLY)


async def test_a_pod_is_served_in_canonical_forms() -> None:
    resource = {"resource": "limits.cpu", "divisor": "0.001"}
    spec = {
        "containers": [{
            "name": "c", "image": "i", "resources": {"requests": WRITTEN},
            "env": [{"name": "CPU", "valueFrom": {"resourceFieldRef": resource}}],
        }],
        "volumes": [{"name": "v", "emptyDir": {"sizeLimit": "0.5Gi"}}],
    }  # fmt: skip
    async with kube() as ask:
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}
        made = (await ask("POST", PODS, pod)).doc["spec"]
        (main,) = made["containers"]
        assert main["resources"] == {"requests": SERVED}
        assert main["env"][0]["valueFrom"]["resourceFieldRef"]["divisor"] == "1m"
        assert made["volumes"][0]["emptyDir"] == {"sizeLimit": "512Mi"}
        assert (await ask("GET", f"{PODS}/p")).doc["spec"] == made


@pytest.mark.parametrize(
    ("media", "patch"),
    [
        (MERGE, {"spec": {"hard": WRITTEN}}),
        (STRATEGIC, {"spec": {"hard": WRITTEN}}),
        (JSON_PATCH, [{"op": "replace", "path": "/spec/hard", "value": WRITTEN}]),
    ],
)
async def test_the_same_amount_written_otherwise_is_no_change(media: str, patch: Any) -> None:
    async with kube() as ask:
        made = await ask("POST", QUOTAS, quota(WRITTEN))
        assert made.doc["spec"]["hard"] == SERVED
        patched = await ask("PATCH", f"{QUOTAS}/q", patch, content_type=media)
        assert (patched.status, patched.doc) == (200, made.doc)
        replaced = await ask("PUT", f"{QUOTAS}/q", quota(WRITTEN))
        assert (replaced.status, replaced.doc) == (200, made.doc)


async def test_who_applies_the_same_amount_owns_it_too() -> None:
    async with kube() as ask:
        assert (await applied(ask, WRITTEN, "one")).status == 201
        assert (await applied(ask, SERVED, "two")).status == 200
        refused = await applied(ask, {**WRITTEN, "cpu": "600m"}, "three")
        assert refused.status == 409
        assert [one["field"] for one in refused.doc["details"]["causes"]] == [".spec.hard.cpu"] * 2


async def test_a_secret_and_a_lease() -> None:
    async with kube() as ask:
        secret = {
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"},
            "data": {"a": "aGVs\nbG8=\n"},
        }  # fmt: skip
        made = await ask("POST", "/api/v1/namespaces/default/secrets", secret)
        assert made.doc["data"] == {"a": "aGVsbG8="}
        lease = {
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"},
            "spec": {"renewTime": "2026-01-01T01:00:00.5+01:00"},
        }  # fmt: skip
        leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
        made = await ask("POST", leases, lease)
        assert made.doc["spec"]["renewTime"] == "2026-01-01T00:00:00.500000Z"


async def test_protobuf_is_read_alike() -> None:
    hard = fields((1, "cpu"), (2, fields((1, "0.5"))))
    sent = body("v1", "ResourceQuota", fields((1, fields((1, "q"))), (2, fields((1, hard)))))
    async with kube() as ask:
        media = "application/vnd.kubernetes.protobuf"
        made = await ask("POST", QUOTAS, sent, content_type=media)
        assert (made.status, made.doc["spec"]) == (201, {"hard": {"cpu": "500m"}})
