"""ReplicaSets and ReplicationControllers through kubectl, on hollow nodes: what the conformance
suite asks of them, one test each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from .driver import Cluster, eventually, is_ready, within

pytestmark = pytest.mark.slow
SPACE = "replicas"
RS, RC = "rs", "rc"
VERSIONS = {RS: ("apps/v1", "ReplicaSet"), RC: ("v1", "ReplicationController")}
PATHS = {
    RS: f"/apis/apps/v1/namespaces/{SPACE}/replicasets/web",
    RC: f"/api/v1/namespaces/{SPACE}/replicationcontrollers/web",
}
both = pytest.mark.parametrize("kind", [RS, RC])


@pytest.fixture
def kube(hollow: Cluster) -> Iterator[Cluster]:
    with within(hollow, SPACE) as own:
        yield own


def replicas(kind: str, count: int) -> dict[str, Any]:
    version, name = VERSIONS[kind]
    labels = {"app": "web"}
    return {
        "apiVersion": version, "kind": name, "metadata": {"name": "web", "labels": labels},
        "spec": {
            "replicas": count,
            "selector": {"matchLabels": labels} if kind == RS else labels,
            "template": {"metadata": {"labels": labels}, "spec": pod_spec()},
        },
    }  # fmt: skip


def pod_spec() -> dict[str, Any]:
    return {"containers": [{"name": "c", "image": "nginx:1"}]}


async def run(kube: Cluster, count: int) -> list[dict[str, Any]]:
    """The pods, once so many are ready and no others are there."""

    def ready() -> bool:
        return [is_ready(pod) for pod in kube.pods("app=web", SPACE)] == [True] * count

    await eventually(ready, f"{count} pods")
    return kube.pods("app=web", SPACE)


def owner(kube: Cluster, pod: str) -> str:
    return kube.kubectl("get", "pod", pod, "-o=jsonpath={.metadata.ownerReferences[*].name}")


@both
async def test_each_replica_runs_its_image(kube: Cluster, kind: str) -> None:
    kube.apply(replicas(kind, 3))
    pods = await run(kube, 3)
    assert len({pod["metadata"]["name"] for pod in pods}) == 3
    assert len({pod["status"]["podIP"] for pod in pods}) == 3
    assert {owner(kube, pod["metadata"]["name"]) for pod in pods} == {"web"}
    told = [pod["status"]["containerStatuses"][0]["image"] for pod in pods]
    assert all(image.endswith("nginx:1") for image in told), told


@both
async def test_scaling_by_the_subresource(kube: Cluster, kind: str) -> None:
    kube.apply(replicas(kind, 1))
    await run(kube, 1)
    scale = json.loads(kube.kubectl("get", "--raw", f"{PATHS[kind]}/scale"))
    assert (scale["kind"], scale["spec"]["replicas"]) == ("Scale", 1)
    scale["spec"]["replicas"] = 2
    kube.kubectl("replace", "--raw", f"{PATHS[kind]}/scale", "-f", "-", stdin=json.dumps(scale))
    await run(kube, 2)
    kube.kubectl("patch", f"{kind}/web", "--subresource=scale", "--type=merge", "-p",
                 '{"spec":{"replicas":4}}')  # fmt: skip
    await run(kube, 4)


@both
async def test_a_pod_of_its_labels_is_adopted_and_one_without_is_released(
    kube: Cluster, kind: str
) -> None:
    pod = {"name": "lone", "labels": {"app": "web"}}
    kube.apply({"apiVersion": "v1", "kind": "Pod", "metadata": pod, "spec": pod_spec()})
    kube.apply(replicas(kind, 1))
    await eventually(lambda: owner(kube, "lone") == "web", "the pod is adopted")
    await run(kube, 1)
    kube.kubectl("label", "pod", "lone", "app=other", "--overwrite")
    await eventually(lambda: owner(kube, "lone") == "", "the pod is released")
    (other,) = await run(kube, 1)
    assert other["metadata"]["name"] != "lone"
    kube.kubectl("delete", "pod", "lone")


@both
async def test_its_life(kube: Cluster, kind: str) -> None:
    kube.apply(replicas(kind, 1))
    await run(kube, 1)
    patch = '{"metadata":{"labels":{"patched":"yes"}},"spec":{"replicas":2}}'
    kube.kubectl("patch", f"{kind}/web", "-p", patch)
    await run(kube, 2)
    there = kube.get(kind, "web")
    there["spec"]["replicas"] = 3
    del there["metadata"]["resourceVersion"]
    kube.kubectl("replace", "-f", "-", stdin=json.dumps(there))
    await run(kube, 3)
    assert "web" in kube.kubectl("get", kind, "-A", "-l", "patched=yes")
    kube.kubectl("delete", kind, "-l", "patched=yes", "--timeout=120s")
    await run(kube, 0)
    assert kube.get(kind)["items"] == []


@both
async def test_a_status_is_a_resource_of_its_own(kube: Cluster, kind: str) -> None:
    kube.apply(replicas(kind, 1))
    await run(kube, 1)
    condition = {"type": "StatusPatched", "status": "True", "reason": "Test", "message": "set"}
    patch = json.dumps({"status": {"conditions": [condition]}, "spec": {"replicas": 7}})
    kube.kubectl("patch", f"{kind}/web", "--subresource=status", "--type=merge", "-p", patch)
    found = kube.get(kind, "web")
    assert found["spec"]["replicas"] == 1
    assert [one["type"] for one in found["status"]["conditions"]] == ["StatusPatched"]


@both
async def test_a_quota_in_the_way_is_told_and_forgotten(kube: Cluster, kind: str) -> None:
    def failing() -> list[tuple[str, str]]:
        conditions = kube.get(kind, "web")["status"].get("conditions", [])
        return [(one["type"], one["reason"]) for one in conditions]

    kube.kubectl("create", "quota", "two", "--hard=pods=2")
    kube.apply(replicas(kind, 3))
    await eventually(lambda: failing() == [("ReplicaFailure", "FailedCreate")], "a condition")
    kube.kubectl("scale", f"{kind}/web", "--replicas=2")
    await eventually(lambda: failing() == [], "no condition")
    await run(kube, 2)
