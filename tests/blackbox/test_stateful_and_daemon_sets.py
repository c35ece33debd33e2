"""StatefulSets, DaemonSets and their histories, with the oldest and the newest kubectl on hollow nodes:
what Kubernetes' conformance tests ask of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from .driver import Cluster, eventually, is_ready, kubectl_versions, within

pytestmark = pytest.mark.slow
GATE = "example.com/well"


@pytest.fixture(scope="module", params=kubectl_versions(), ids=lambda path: Path(path).name)
def versioned(request: pytest.FixtureRequest, hollow: Cluster) -> Cluster:
    return replace(hollow, program=request.param)


@pytest.fixture
def kube(versioned: Cluster) -> Iterator[Cluster]:
    """The cluster in a namespace of the test's own."""
    with within(versioned, "sets") as own:
        yield own


def stateful(replicas: int, pod: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    body = {"replicas": replicas, "serviceName": "web", **templated("web", pod), **spec}
    metadata = {"name": "web", "labels": {"app": "web"}}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata, "spec": body}


def daemon_set(pod: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    metadata = {"name": "agent", "labels": {"app": "agent"}}
    body = {**templated("agent", pod), **spec}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": body}


def templated(name: str, pod: dict[str, Any] | None) -> dict[str, Any]:
    spec = {"containers": [{"name": "c", "image": "nginx:1"}], **(pod or {})}
    return {
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": spec},
    }


def names(kube: Cluster, selector: str = "app=web") -> list[str]:
    return sorted(pod["metadata"]["name"] for pod in kube.pods(selector, "sets"))


def images(kube: Cluster, selector: str) -> list[str]:
    """Of pods that are ready, by name."""
    pods = sorted(kube.pods(selector, "sets"), key=lambda pod: str(pod["metadata"]["name"]))
    return [pod["spec"]["containers"][0]["image"] for pod in pods if is_ready(pod)]


def uids(kube: Cluster, selector: str) -> set[str]:
    return {pod["metadata"]["uid"] for pod in kube.pods(selector, "sets")}


def say(kube: Cluster, pod: str, status: dict[str, Any]) -> None:
    patch = json.dumps({"status": status})
    kube.kubectl("patch", "pod", pod, "--subresource=status", "--type=merge", "-p", patch)


def well(kube: Cluster, pod: str, truth: str) -> None:
    """Open or shut a pod's readiness gate."""
    status = kube.get("pod", pod)["status"]
    kept = [one for one in status.get("conditions", []) if one["type"] != GATE]
    say(kube, pod, {"conditions": [*kept, {"type": GATE, "status": truth}]})


async def there_are(kube: Cluster, pods: list[str]) -> None:
    await eventually(lambda: names(kube) == pods, f"{pods}")


async def run_images(kube: Cluster, wanted: list[str]) -> None:
    await eventually(lambda: images(kube, "app=web") == wanted, f"{wanted}")


async def test_pods_come_and_go_in_order_and_halt_at_a_sick_one(kube: Cluster) -> None:
    kube.apply(stateful(3, {"readinessGates": [{"conditionType": GATE}]}))
    for number in range(3):
        await there_are(kube, [f"web-{n}" for n in range(number + 1)])
        well(kube, f"web-{number}", "True")
    kube.kubectl("wait", "sts/web", "--for=jsonpath={.status.readyReplicas}=3", "--timeout=120s")
    well(kube, "web-0", "False")
    await eventually(lambda: kube.get("sts", "web")["status"]["readyReplicas"] == 2, "a sick pod")
    kube.kubectl("scale", "sts/web", "--replicas=1")
    await eventually(
        lambda: kube.get("sts", "web")["status"]["observedGeneration"] == 2, "the news"
    )
    assert names(kube) == ["web-0", "web-1", "web-2"]
    well(kube, "web-0", "True")
    await eventually(lambda: names(kube) == ["web-0"], "one pod")


async def test_a_parallel_set_bursts(kube: Cluster) -> None:
    gate = {"readinessGates": [{"conditionType": GATE}]}
    kube.apply(stateful(4, gate, podManagementPolicy="Parallel"))
    await eventually(lambda: len(names(kube)) == 4, "all though none is ready")
    kube.kubectl("scale", "sts/web", "--replicas=0")
    await eventually(lambda: names(kube) == [], "none")


async def test_what_was_evicted_comes_back_under_its_name(kube: Cluster) -> None:
    kube.apply(stateful(1))
    kube.kubectl("rollout", "status", "sts/web", "--timeout=120s")
    before = uids(kube, "app=web")
    say(kube, "web-0", {"phase": "Failed", "reason": "Evicted"})
    await eventually(
        lambda: uids(kube, "app=web") not in (before, set()) and images(kube, "app=web"),
        "another web-0",
    )
    assert names(kube) == ["web-0"]


def test_scaling_by_the_subresource(kube: Cluster) -> None:
    kube.apply(stateful(1))
    path = "/apis/apps/v1/namespaces/sets/statefulsets/web/scale"
    scale = json.loads(kube.kubectl("get", "--raw", path))
    assert (scale["kind"], scale["spec"], scale["status"]["selector"]) == (
        "Scale", {"replicas": 1}, "app=web",
    )  # fmt: skip
    scale["spec"]["replicas"] = 2
    kube.kubectl("replace", "--raw", path, "-f", "-", stdin=json.dumps(scale))
    assert kube.get("sts", "web")["spec"]["replicas"] == 2
    kube.kubectl("wait", "sts/web", "--for=jsonpath={.status.readyReplicas}=2", "--timeout=120s")


def test_a_set_is_listed_patched_and_deleted_with_others(kube: Cluster) -> None:
    kube.apply(stateful(1))
    assert "web" in kube.kubectl("get", "sts", "-A", "-l", "app=web")
    patch = {"metadata": {"labels": {"patched": "yes"}}, "spec": {"replicas": 2}}
    kube.kubectl("patch", "sts/web", "-p", json.dumps(patch))
    kube.kubectl("wait", "sts/web", "--for=jsonpath={.status.readyReplicas}=2", "--timeout=120s")
    kube.kubectl("delete", "sts", "-l", "patched=yes", "--timeout=120s")
    assert kube.get("sts")["items"] == []


async def test_canaries_and_phased_updates(kube: Cluster) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 3}}
    kube.apply(stateful(3, updateStrategy=strategy))
    kube.kubectl("wait", "sts/web", "--for=jsonpath={.status.readyReplicas}=3", "--timeout=120s")
    kube.kubectl("set", "image", "sts/web", "c=nginx:2")
    expected = {3: ["nginx:1"] * 3, 2: ["nginx:1", "nginx:1", "nginx:2"], 0: ["nginx:2"] * 3}
    for partition, wanted in expected.items():
        moved = {"spec": {"updateStrategy": {"rollingUpdate": {"partition": partition}}}}
        kube.kubectl("patch", "sts/web", "-p", json.dumps(moved))
        await run_images(kube, wanted)
    kube.kubectl("rollout", "status", "sts/web", "--timeout=120s")
    status = kube.get("sts", "web")["status"]
    assert status["currentRevision"] == status["updateRevision"]


async def test_a_stateful_update_is_undone(kube: Cluster) -> None:
    kube.apply(stateful(2))
    kube.kubectl("rollout", "status", "sts/web", "--timeout=120s")
    kube.kubectl("set", "image", "sts/web", "c=nginx:2")
    await eventually(lambda: images(kube, "app=web") == ["nginx:2"] * 2, "the update")
    kube.kubectl("rollout", "status", "sts/web", "--timeout=120s")
    history = kube.kubectl("rollout", "history", "sts/web")
    assert [line.split()[0] for line in history.strip().splitlines()[2:]] == ["1", "2"]
    shown = kube.kubectl("rollout", "history", "sts/web", "--revision=2")
    assert "nginx:2" in shown
    assert "rolled back" in kube.kubectl("rollout", "undo", "sts/web")
    await eventually(lambda: images(kube, "app=web") == ["nginx:1"] * 2, "the rollback")
    before = kube.get("sts", "web")["metadata"]["generation"]
    kube.kubectl("rollout", "undo", "sts/web", "--to-revision=3")
    assert kube.get("sts", "web")["metadata"]["generation"] == before, "it is that already"


@pytest.mark.parametrize("kind", ["sts/web", "ds/agent"])
def test_a_status_is_a_resource_of_its_own(kube: Cluster, kind: str) -> None:
    kube.apply(stateful(1) if kind == "sts/web" else daemon_set())
    kube.kubectl("rollout", "status", kind, "--timeout=120s")
    condition = {"type": "StatusPatched", "status": "True", "reason": "Test", "message": "set"}
    patch = json.dumps({"status": {"conditions": [condition]}})
    kube.kubectl("patch", kind, "--subresource=status", "--type=merge", "-p", patch)
    kube.kubectl("rollout", "restart", kind)
    kube.kubectl("rollout", "status", kind, "--timeout=120s")
    (found,) = kube.get(kind)["status"]["conditions"]
    assert found["type"] == "StatusPatched"


async def test_every_node_has_a_daemon_and_gets_it_again(kube: Cluster) -> None:
    kube.apply(daemon_set())
    kube.kubectl("rollout", "status", "ds/agent", "--timeout=120s")
    pods = kube.pods("app=agent", "sets")
    assert {pod["spec"]["nodeName"] for pod in pods} == {"node-1", "node-2", "node-3"}
    gone = pods[0]["metadata"]["name"]
    kube.kubectl("delete", "pod", gone)
    await eventually(
        lambda: len(images(kube, "app=agent")) == 3 and gone not in names(kube, "app=agent"),
        "a pod on every node again",
    )


async def test_a_daemon_that_fails_is_tried_again(kube: Cluster) -> None:
    kube.apply(daemon_set())
    kube.kubectl("rollout", "status", "ds/agent", "--timeout=120s")
    failed = names(kube, "app=agent")[0]
    say(kube, failed, {"phase": "Failed"})
    await eventually(
        lambda: len(images(kube, "app=agent")) == 3 and failed not in names(kube, "app=agent"),
        "another pod in its place",
    )
    events = kube.kubectl("get", "events", "--field-selector=reason=FailedDaemonPod")
    assert f"Found failed daemon pod sets/{failed} on node node-" in events


async def test_a_daemon_follows_the_labels_of_nodes(kube: Cluster) -> None:
    kube.apply(daemon_set({"nodeSelector": {"color": "blue"}}))
    await eventually(
        lambda: kube.get("ds", "agent")["status"].get("observedGeneration") == 1, "the news"
    )
    assert names(kube, "app=agent") == []
    kube.kubectl("label", "node", "node-2", "color=blue")
    try:
        await eventually(lambda: len(images(kube, "app=agent")) == 1, "a pod on the blue node")
        kube.kubectl("label", "node", "node-2", "color=green", "--overwrite")
        await eventually(lambda: names(kube, "app=agent") == [], "no pod")
        spec = {"template": {"spec": {"nodeSelector": {"color": "green"}}}}
        strategy = {"updateStrategy": {"type": "RollingUpdate"}}
        kube.kubectl("patch", "ds/agent", "-p", json.dumps({"spec": {**spec, **strategy}}))
        await eventually(lambda: len(images(kube, "app=agent")) == 1, "a pod on the green node")
    finally:
        kube.kubectl("label", "node", "node-2", "color-")


async def test_a_daemons_update_and_rollback_restart_no_more_than_they_must(kube: Cluster) -> None:
    kube.apply(daemon_set())
    kube.kubectl("rollout", "status", "ds/agent", "--timeout=120s")
    kube.kubectl("set", "image", "ds/agent", "c=nginx:2")
    kube.kubectl("rollout", "status", "ds/agent", "--timeout=120s")
    assert images(kube, "app=agent") == ["nginx:2"] * 3
    before = uids(kube, "app=agent")
    kube.kubectl("set", "image", "ds/agent", "c=broken:1")
    await eventually(
        lambda: kube.get("ds", "agent")["status"].get("updatedNumberScheduled") == 1, "a bad pod"
    )
    assert "rolled back" in kube.kubectl("rollout", "undo", "ds/agent")
    kube.kubectl("rollout", "status", "ds/agent", "--timeout=120s")
    assert images(kube, "app=agent") == ["nginx:2"] * 3
    assert len(before & uids(kube, "app=agent")) == 2


def test_daemon_sets_are_listed_and_deleted_with_others(kube: Cluster) -> None:
    kube.apply(daemon_set())
    kube.kubectl("rollout", "status", "ds/agent", "--timeout=120s")
    row = kube.kubectl("get", "ds", "agent", "--no-headers").split()
    assert row[:7] == ["agent", "3", "3", "3", "3", "3", "<none>"]
    kube.kubectl("delete", "ds", "-l", "app=agent", "--timeout=120s")
    assert kube.get("ds")["items"] == []
    assert kube.get("controllerrevisions")["items"] == []


async def test_the_life_of_a_revision(kube: Cluster) -> None:
    kube.apply(daemon_set())
    kube.kubectl("rollout", "status", "ds/agent", "--timeout=120s")
    (first,) = kube.get("controllerrevisions", "-l", "app=agent")["items"]
    name = first["metadata"]["name"]
    assert kube.kubectl("get", "controllerrevision", name, "--no-headers").split()[:3] == [
        name, "daemonset.apps/agent", "1",
    ]  # fmt: skip
    label = json.dumps({"metadata": {"labels": {name: "patched"}}})
    kube.kubectl("patch", "controllerrevision", name, "-p", label)
    copy = {**first, "metadata": {k: first["metadata"][k] for k in ("labels", "ownerReferences")}}
    copy["metadata"] |= {"name": "by-hand"}
    kube.kubectl("create", "-f", "-", stdin=json.dumps({**copy, "revision": first["revision"] + 1}))
    kube.kubectl("delete", "controllerrevision", name)
    changed = {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 1}}}}
    kube.kubectl("patch", "ds/agent", "-p", json.dumps(changed))
    found = await eventually(
        lambda: {one["revision"] for one in kube.get("controllerrevisions")["items"]} >= {2, 3},
        "a third revision",
    )
    assert found
    kube.kubectl("delete", "controllerrevision", "-l", f"{name}=patched", "--ignore-not-found")
