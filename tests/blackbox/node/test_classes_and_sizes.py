"""RuntimeClasses, images as volumes, and resizes of running pods.

Upstream: test/e2e/common/node/{runtimeclass,image_volume,pod_resize,pods}.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import pytest
from kubernetes.client.exceptions import ApiException

from longshore.base import quantities

from ..driver import Cluster
from .playing import Case, Change, Doc, Played, container, namespace, play, pod

pytestmark = [pytest.mark.root, pytest.mark.slow]

FOREVER = "trap 'exit 0' TERM; while :; do sleep 0.1; done"


def runtime_class(name: str, handler: str = "runc", **more: Doc) -> Doc:
    return {
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": name},
        "handler": handler,
        **more,
    }


OVERHEAD = {"cpu": "10m", "memory": "1Mi"}
CLASSES = [
    runtime_class("node-plain"),
    runtime_class("node-heavy", overhead={"podFixed": OVERHEAD}),
    runtime_class("node-gone"),
]

# --- sizes ---


def sizes(cpu: str, memory: str, cpu_limit: str = "", memory_limit: str = "") -> Doc:
    limits = {"cpu": cpu_limit or cpu, "memory": memory_limit or memory}
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": limits}


SMALL, LARGE = sizes("10m", "20Mi"), sizes("20m", "40Mi")
BURST, WIDER = sizes("10m", "20Mi", "20m", "40Mi"), sizes("20m", "20Mi", "40m", "60Mi")
# No group of processes tells them apart: both are less than the least that it takes.
FEW, FEWER = sizes("2m", "20Mi", "10m", "40Mi"), sizes("1m", "20Mi", "5m", "40Mi")
RESIZES = {
    "six-mixed": ([SMALL, LARGE, BURST, WIDER, SMALL, BURST], [LARGE, SMALL, WIDER, BURST, SMALL, WIDER]),
    "equivalent": ([FEW], [FEWER]),
    "three-increase": ([SMALL, SMALL, SMALL], [LARGE, LARGE, SMALL]),
    "three-decrease": ([LARGE, LARGE, SMALL], [SMALL, SMALL, SMALL]),
    "three-mixed": ([SMALL, LARGE, SMALL], [LARGE, SMALL, LARGE]),
}  # fmt: skip


def all_run(pod: Doc) -> bool:
    """Every container runs."""
    statuses = pod["status"].get("containerStatuses") or [{"state": {}}]
    return all("running" in one["state"] for one in statuses)


def resized(name: str, before: list[Doc], after: list[Doc]) -> Case:
    """A pod whose containers are given other resources when all run."""
    containers = [container(FOREVER, name=f"c{n}", resources=size) for n, size in enumerate(before)]
    new = [{"name": f"c{n}", "resources": size} for n, size in enumerate(after)]
    change = Change("patch", "Pod", name, {"spec": {"containers": new}}, "resize")
    return Case(
        name, pod(*containers), phase="Running", changes=(change,), changed_when=all_run, until=settled
    )  # fmt: skip


def settled(pod: Doc) -> bool:
    """What is wanted is observed, and no resize is under way."""
    status = pod["status"]
    under_way = {"PodResizePending", "PodResizeInProgress"}
    return bool(
        status.get("observedGeneration") == pod["metadata"]["generation"] > 1
        and all_run(pod)
        and not under_way & {one["type"] for one in status.get("conditions") or []}
    )


# --- all that runs ---

IMAGE = {"image": {"reference": "busybox:1.36", "pullPolicy": "IfNotPresent"}}
CASES = [
    Case("plain-class", pod(container("echo runs"), runtimeClassName="node-plain"), "runs\n"),
    Case("heavy-class", pod(container("echo runs"), runtimeClassName="node-heavy"), "runs\n"),
    Case(
        "image-volume",
        pod(
            container("ls /v/etc/passwd /v/bin/busybox", volumeMounts=[{"name": "v", "mountPath": "/v"}]),
            volumes=[{"name": "v", **IMAGE}],
        ),
        "/v/bin/busybox\n/v/etc/passwd\n",
    ),
    *(resized(name, *sides) for name, sides in RESIZES.items()),
]  # fmt: skip


@pytest.fixture(scope="module")
def played(cluster: Cluster) -> Iterator[Played]:
    with namespace(cluster, "classes") as api:
        for one in CLASSES:
            api.create(one)
        api.call("DELETE", api.path("RuntimeClass", "node-gone"))
        yield play(api, CASES)
        for name in ("node-plain", "node-heavy"):
            api.call("DELETE", api.path("RuntimeClass", name))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_comes_so_far(played: Played, case: Case) -> None:
    played.check(case)


# --- classes ---


def test_a_class_adds_its_overhead(played: Played) -> None:
    assert played.pod("heavy-class")["spec"]["overhead"] == OVERHEAD
    assert "overhead" not in played.pod("plain-class")["spec"]


@pytest.mark.parametrize("name", ["node-gone", "node-never-there"])
def test_a_class_that_is_not_there_is_refused(played: Played, name: str) -> None:
    spec = pod(container("true"), runtimeClassName=name)
    doc = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "classless"}, "spec": spec}
    with pytest.raises(ApiException) as refused:
        played.api.create(doc)
    assert refused.value.status == 403
    assert f'RuntimeClass "{name}" not found' in refused.value.reason


# --- sizes ---


@pytest.mark.parametrize("name", RESIZES)
def test_resized_where_it_runs(played: Played, name: str) -> None:
    """Every container has what it was given, in its status and in its group, and none was restarted."""
    statuses, wanted = played.pod(name)["status"]["containerStatuses"], RESIZES[name][1]
    assert [amounts(one["resources"]) for one in statuses] == [amounts(one) for one in wanted]
    assert [one["restartCount"] for one in statuses] == [0] * len(wanted)


def amounts(resources: Doc) -> dict[tuple[str, str], Fraction]:
    return {
        (side, name): quantities.parse(value)
        for side, values in resources.items()
        for name, value in values.items()
    }


def test_resized_by_replacing(played: Played) -> None:
    """The subresource takes a whole pod too; all but the resources stays."""
    api = played.api
    whole = api.call("GET", api.path("Pod", "equivalent"))
    whole["spec"]["containers"][0]["resources"] = WIDER
    answer = api.call("PUT", api.path("Pod", "equivalent", "resize"), whole)
    assert answer["spec"]["containers"][0]["resources"] == WIDER
    assert answer["metadata"]["generation"] == whole["metadata"]["generation"] + 1
