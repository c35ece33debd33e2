"""Deployments through kubectl, on hollow nodes: what the conformance suite asks of apps/v1
Deployment, one test each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from .driver import Cluster, eventually, is_ready, within

pytestmark = pytest.mark.slow
SPACE = "deployments"
PATH = f"/apis/apps/v1/namespaces/{SPACE}/deployments/web"


@pytest.fixture
def kube(hollow: Cluster) -> Iterator[Cluster]:
    with within(hollow, SPACE) as own:
        yield own


def deployment(replicas: int, image: str = "nginx:1", gates: bool = False, **spec: Any) -> Any:
    """gates: its pods are never ready by themselves."""
    pod: dict[str, Any] = {"containers": [{"name": "c", "image": image}]}
    if gates:
        pod["readinessGates"] = [{"conditionType": "example.com/well"}]
    template = {"metadata": {"labels": {"app": "web"}}, "spec": pod}
    body = {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    metadata = {"name": "web", "labels": {"app": "web"}}
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
        "spec": {**body, **spec},
    }  # fmt: skip


def rolled_out(kube: Cluster) -> None:
    kube.kubectl("rollout", "status", "deploy/web", "--timeout=120s")


def sizes(kube: Cluster) -> dict[str, int]:
    """Of its replica sets: replicas asked for, by image."""
    found = kube.get("rs", "-l", "app=web")["items"]
    return {
        one["spec"]["template"]["spec"]["containers"][0]["image"]: one["spec"]["replicas"]
        for one in found
    }


def images(kube: Cluster) -> list[str]:
    pods = kube.pods("app=web", SPACE)
    return sorted(pod["spec"]["containers"][0]["image"] for pod in pods if is_ready(pod))


def set_image(kube: Cluster, image: str) -> None:
    kube.kubectl("set", "image", "deploy/web", f"c={image}")


def test_scaling_by_the_subresource(kube: Cluster) -> None:
    kube.apply(deployment(1))
    rolled_out(kube)
    scale = json.loads(kube.kubectl("get", "--raw", f"{PATH}/scale"))
    assert (scale["spec"]["replicas"], scale["status"]["selector"]) == (1, "app=web")
    scale["spec"]["replicas"] = 2
    kube.kubectl("replace", "--raw", f"{PATH}/scale", "-f", "-", stdin=json.dumps(scale))
    assert kube.get("deploy", "web")["spec"]["replicas"] == 2
    kube.kubectl("patch", "deploy/web", "--subresource=scale", "--type=merge", "-p",
                 '{"spec":{"replicas":4}}')  # fmt: skip
    rolled_out(kube)
    assert kube.get("deploy", "web")["status"]["readyReplicas"] == 4


async def test_recreate_ends_the_old_before_it_begins_the_new(kube: Cluster) -> None:
    kube.apply(deployment(3, strategy={"type": "Recreate"}))
    rolled_out(kube)
    path = f"/api/v1/namespaces/{SPACE}/pods"
    since = json.loads(kube.kubectl("get", "--raw", path))["metadata"]["resourceVersion"]
    set_image(kube, "nginx:2")
    rolled_out(kube)
    query = f"watch=1&timeoutSeconds=1&resourceVersion={since}"
    lines = kube.kubectl("get", "--raw", f"{path}?{query}").splitlines()
    told = [json.loads(line) for line in lines]
    story = [
        (event["type"], event["object"]["spec"]["containers"][0]["image"])
        for event in told
        if event["type"] in ("ADDED", "DELETED")
    ]
    assert story == [("DELETED", "nginx:1")] * 3 + [("ADDED", "nginx:2")] * 3


async def test_a_rolling_update_adopts_what_is_there_and_replaces_it(kube: Cluster) -> None:
    there = deployment(2)
    orphan = {**there, "kind": "ReplicaSet", "metadata": {"name": "old", "labels": {"app": "web"}}}
    kube.apply(orphan)
    await eventually(lambda: len(images(kube)) == 2, "the replica set's pods")
    kube.apply(deployment(2, "nginx:2"))
    rolled_out(kube)
    old = kube.get("rs", "old")
    assert (old["spec"]["replicas"], old["metadata"]["ownerReferences"][0]["name"]) == (0, "web")
    await eventually(lambda: images(kube) == ["nginx:2"] * 2, "new pods alone")


async def test_old_replica_sets_go_beyond_the_history_limit(kube: Cluster) -> None:
    kube.apply(deployment(1, revisionHistoryLimit=0))
    rolled_out(kube)
    set_image(kube, "nginx:2")
    await eventually(lambda: sizes(kube) == {"nginx:2": 1}, "one replica set")


async def test_a_stuck_rollout_is_scaled_in_proportion(kube: Cluster) -> None:
    rolling = {"maxSurge": 3, "maxUnavailable": 2}
    strategy = {"type": "RollingUpdate", "rollingUpdate": rolling}
    kube.apply(deployment(10, strategy=strategy))
    rolled_out(kube)
    kube.apply(deployment(10, "nginx:404", gates=True, strategy=strategy))
    await eventually(lambda: sizes(kube) == {"nginx:1": 8, "nginx:404": 5}, "13 pods, 8 old ones")
    kube.kubectl("scale", "deploy/web", "--replicas=30")
    # Of the twenty more, as the two had of thirteen (the test's own figures upstream).
    await eventually(lambda: sizes(kube) == {"nginx:1": 20, "nginx:404": 13}, "33 pods")


async def test_a_rollout_gives_way_to_the_next(kube: Cluster) -> None:
    kube.apply(deployment(3))
    rolled_out(kube)
    kube.apply(deployment(3, "nginx:never", gates=True))
    await eventually(lambda: sizes(kube).get("nginx:never") == 1, "a rollout that is stuck")
    kube.apply(deployment(3, "nginx:3"))
    rolled_out(kube)
    await eventually(
        lambda: sizes(kube) == {"nginx:1": 0, "nginx:never": 0, "nginx:3": 3}, "the last one's pods"
    )


async def test_the_life_of_a_deployment(kube: Cluster) -> None:
    kube.apply(deployment(1))
    kube.kubectl("wait", "deploy/web", "--for=condition=Available", "--timeout=120s")
    assert "web" in kube.kubectl("get", "deploy", "-A", "-l", "app=web")
    kube.kubectl("patch", "deploy/web", "-p",
                 '{"metadata":{"labels":{"patched":"yes"}},"spec":{"replicas":2}}')  # fmt: skip
    rolled_out(kube)
    there = kube.get("deploy", "web")
    assert there["metadata"]["labels"]["patched"] == "yes"
    there["spec"]["template"]["spec"]["containers"][0]["image"] = "nginx:2"
    del there["metadata"]["resourceVersion"]
    kube.kubectl("replace", "-f", "-", stdin=json.dumps(there))
    rolled_out(kube)
    kube.kubectl("delete", "deploy", "-l", "patched=yes", "--timeout=120s")
    await eventually(lambda: not kube.pods("app=web", SPACE), "nothing left")
    assert kube.get("rs", "-l", "app=web")["items"] == []


def test_a_status_is_a_resource_of_its_own(kube: Cluster) -> None:
    kube.apply(deployment(1))
    rolled_out(kube)
    condition = {"type": "StatusPatched", "status": "True", "reason": "Test", "message": "set"}
    patch = json.dumps({"status": {"conditions": [condition]}, "spec": {"replicas": 7}})
    kube.kubectl("patch", "deploy/web", "--subresource=status", "--type=merge", "-p", patch)
    found = kube.get("deploy", "web")
    assert found["spec"]["replicas"] == 1
    assert "StatusPatched" in [one["type"] for one in found["status"]["conditions"]]
    status = json.loads(kube.kubectl("get", "--raw", f"{PATH}/status"))
    status["status"]["conditions"].append({**condition, "type": "StatusUpdated"})
    kube.kubectl("replace", "--raw", f"{PATH}/status", "-f", "-", stdin=json.dumps(status))
    types = [one["type"] for one in kube.get("deploy", "web")["status"]["conditions"]]
    assert "StatusUpdated" in types
