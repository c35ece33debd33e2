"""The garbage collector through kubectl, on hollow nodes: what the conformance suite asks of it, one
test each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from .driver import Cluster, eventually, within

pytestmark = pytest.mark.slow
SPACE = "garbage"


@pytest.fixture
def kube(hollow: Cluster) -> Iterator[Cluster]:
    with within(hollow, SPACE) as own:
        yield own


def controller(name: str, replicas: int) -> dict[str, Any]:
    labels = {"app": name}
    pod = {"containers": [{"name": "c", "image": "nginx"}]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    return {
        "apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": labels, "template": template},
    }  # fmt: skip


async def run(kube: Cluster, name: str, replicas: int) -> None:
    kube.apply(controller(name, replicas))
    ready = f"--for=jsonpath={{.status.readyReplicas}}={replicas}"
    kube.kubectl("wait", f"rc/{name}", ready, "--timeout=120s")


def delete(kube: Cluster, what: str, policy: str) -> None:
    kube.kubectl("delete", what, f"--cascade={policy}", "--wait=false")


def owned(kube: Cluster, pod: str, *owners: dict[str, Any]) -> None:
    """The pod has these owners from now on."""
    patch = json.dumps({"metadata": {"ownerReferences": owners}})
    kube.kubectl("patch", "pod", pod, "--type=merge", "-p", patch)


def reference(kube: Cluster, what: str, **more: Any) -> dict[str, Any]:
    there = kube.get(*what.split("/"))
    names = {"name": there["metadata"]["name"], "uid": there["metadata"]["uid"]}
    return {"apiVersion": there["apiVersion"], "kind": there["kind"], **names, **more}


async def gone(kube: Cluster, *what: str) -> None:
    for one in what:
        kube.kubectl("wait", "--for=delete", one, "--timeout=120s")


async def test_in_the_background_a_deployments_replica_sets_go(kube: Cluster) -> None:
    kube.kubectl("create", "deployment", "web", "--image=nginx")
    kube.kubectl("rollout", "status", "deploy/web", "--timeout=120s")
    delete(kube, "deploy/web", "background")
    await eventually(lambda: not kube.get("rs")["items"], "no replica sets")


async def test_in_the_background_a_controllers_pods_go(kube: Cluster) -> None:
    await run(kube, "web", 2)
    delete(kube, "rc/web", "background")
    await eventually(lambda: not kube.pods("app=web", SPACE), "no pods")


async def test_in_the_foreground_a_controller_stays_until_its_pods_are_gone(kube: Cluster) -> None:
    await run(kube, "web", 2)
    pod = kube.pods("app=web", SPACE)[0]["metadata"]["name"]
    hold = '{"metadata":{"finalizers":["example.com/hold"]}}'
    kube.kubectl("patch", "pod", pod, "--type=merge", "-p", hold)
    delete(kube, "rc/web", "foreground")
    await eventually(lambda: len(kube.pods("app=web", SPACE)) == 1, "the held pod alone")
    left = kube.get("rc", "web")["metadata"]
    assert left["finalizers"] == ["foregroundDeletion"]
    assert "deletionTimestamp" in left
    kube.kubectl("patch", "pod", pod, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    await gone(kube, "rc/web", f"pod/{pod}")


async def test_a_circle_of_owners_does_not_stand_in_the_way(kube: Cluster) -> None:
    for name in ("one", "two", "three"):
        kube.kubectl("run", name, "--image=nginx")
    for owner, pod in (("one", "two"), ("two", "three"), ("three", "one")):
        owned(kube, pod, reference(kube, f"pod/{owner}", controller=True, blockOwnerDeletion=True))
    delete(kube, "pod/one", "foreground")
    await gone(kube, "pod/one", "pod/two", "pod/three")


async def test_pods_with_another_owner_that_stays_are_kept(kube: Cluster) -> None:
    await run(kube, "leaves", 2)
    kube.apply(controller("stays", 0))
    pods = [pod["metadata"]["name"] for pod in kube.pods("app=leaves", SPACE)]
    both = [
        reference(kube, "rc/leaves", controller=True, blockOwnerDeletion=True),
        reference(kube, "rc/stays"),
    ]
    owned(kube, pods[0], *both)
    delete(kube, "rc/leaves", "foreground")
    await gone(kube, "rc/leaves", f"pod/{pods[1]}")
    (left,) = kube.get("pod", pods[0])["metadata"]["ownerReferences"]
    assert left["name"] == "stays"


async def test_a_deployments_replica_set_is_left_behind(kube: Cluster) -> None:
    kube.kubectl("create", "deployment", "web", "--image=nginx")
    kube.kubectl("rollout", "status", "deploy/web", "--timeout=120s")
    delete(kube, "deploy/web", "orphan")
    await gone(kube, "deploy/web")
    (left,) = kube.get("rs")["items"]
    assert not left["metadata"].get("ownerReferences")
    assert left["status"]["readyReplicas"] == 1


async def test_a_controllers_pods_are_left_behind(kube: Cluster) -> None:
    await run(kube, "web", 3)
    before = {pod["metadata"]["uid"] for pod in kube.pods("app=web", SPACE)}
    delete(kube, "rc/web", "orphan")
    await gone(kube, "rc/web")
    left = kube.pods("app=web", SPACE)
    assert {pod["metadata"]["uid"] for pod in left} == before
    assert not any(pod["metadata"].get("ownerReferences") for pod in left)
