"""Autoscalers and the metrics APIs as people meet them: kubectl, oldest and newest minor, on hollow nodes;
and containers that burn CPUs and say so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from .driver import Cluster, eventually, kubectl_versions, within

pytestmark = pytest.mark.slow
CUSTOM = "/apis/custom.metrics.k8s.io/v1beta2/namespaces"
EXTERNAL = "/apis/external.metrics.k8s.io/v1beta1/namespaces"
LOAD = "longshore.io/hollow-cpu"
SAYS = "longshore.io/hollow-metrics"


def deployment(image: str = "registry.test/app:1", **container: Any) -> dict[str, Any]:
    labels = {"app": "web"}
    requests = {"requests": {"cpu": "100m"}}
    one = {"name": "web", "image": image, "resources": requests, **container}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"terminationGracePeriodSeconds": 0, "containers": [one]},
            },
        },
    }


def wanted(kube: Cluster) -> int:
    return int(kube.get("deployment", "web")["spec"]["replicas"])


@pytest.fixture(params=kubectl_versions())
def kube(hollow: Cluster, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    program = request.param
    own = Cluster(hollow.name, hollow.root, hollow.server, hollow.kubeconfig, program)
    with within(own, "autoscaling") as inside:
        yield inside


async def test_autoscale_top_get_and_describe(kube: Cluster) -> None:
    kube.apply(deployment())
    kube.kubectl("rollout", "status", "deployment/web", "--timeout=120s")
    kube.kubectl("annotate", "deployment", "web", f"{LOAD}=340m")
    # Of a CPU's use the first window counts only once it has passed since the pod became ready.
    await eventually(lambda: kube.kubectl_run("top", "pods").returncode == 0, "it is measured")
    kube.kubectl("autoscale", "deployment", "web", "--min=1", "--max=5", "--cpu-percent=80")
    await eventually(lambda: wanted(kube) == 4, "it is scaled up")
    await eventually(lambda: "340m" not in kube.kubectl("top", "pods"), "the load is shared")
    await eventually(
        lambda: "cpu: 85%/80%" in kube.kubectl("get", "hpa", "web"),
        "what is measured is shown",
        patience_s=90,
    )
    described = kube.kubectl("describe", "hpa", "web")
    assert "85% (85m) / 80%" in described
    assert "ValidMetricFound" in described
    assert "New size: 4; reason: cpu resource utilization" in described
    top = kube.kubectl("top", "pods", "-l", "app=web", "--no-headers").splitlines()
    assert [line.split()[1] for line in top] == ["85m"] * 4
    first = kube.get("horizontalpodautoscalers.v1.autoscaling", "web")
    assert first["status"]["currentCPUUtilizationPercentage"] == 85
    conditions = json.loads(
        first["metadata"]["annotations"]["autoscaling.alpha.kubernetes.io/conditions"]
    )
    assert {one["type"] for one in conditions} == {"AbleToScale", "ScalingActive", "ScalingLimited"}


async def test_what_pods_say_is_read_and_scales(kube: Cluster) -> None:
    kube.apply(deployment())
    kube.kubectl("rollout", "status", "deployment/web", "--timeout=120s")
    (pod,) = kube.pods("app=web", "autoscaling")
    name = pod["metadata"]["name"]
    kube.kubectl("annotate", "pod", name, f'{SAYS}=requests{{path="/"}} 25\nrequests 5')
    path = f"{CUSTOM}/autoscaling/pods"
    items = json.loads(kube.kubectl("get", "--raw", f"{path}/*/requests"))["items"]
    assert [(one["describedObject"]["name"], one["value"]) for one in items] == [(name, "30")]
    items = json.loads(kube.kubectl("get", "--raw", f"{EXTERNAL}/autoscaling/requests"))["items"]
    assert [one["metricLabels"] for one in items] == [{}, {"path": "/"}]
    listed = json.loads(kube.kubectl("get", "--raw", "/apis/custom.metrics.k8s.io/v1beta2"))
    assert "pods/requests" in [one["name"] for one in listed["resources"]]
    target = {"type": "AverageValue", "averageValue": "10"}
    metric = {"type": "Pods", "pods": {"metric": {"name": "requests"}, "target": target}}
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    spec = {"scaleTargetRef": ref, "maxReplicas": 9, "metrics": [metric]}
    kube.apply(
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "web"},
            "spec": spec,
        }
    )
    await eventually(lambda: wanted(kube) == 3, "it is scaled up")
    assert '"requests" on pods' in kube.kubectl("describe", "hpa", "web")


_SAYING = "while true; do printf 'HTTP/1.0 200 OK\\r\\n\\r\\nrequests 45\\n' | nc -l -p 8080; done"
_BURNING = "while true; do for n in 1 2 3 4 5 6 7 8; do :; done; done"


@pytest.mark.root
async def test_a_container_that_burns_cpus_is_scaled_up(cluster: Cluster) -> None:
    limits = {"requests": {"cpu": "20m"}, "limits": {"cpu": "50m", "memory": "64Mi"}}
    command = ["/bin/sh", "-c", _BURNING]
    cluster.apply(deployment("busybox:1.36", command=command, resources=limits))
    try:
        cluster.kubectl("rollout", "status", "deployment/web", "--timeout=120s")
        cluster.kubectl("autoscale", "deployment", "web", "--min=1", "--max=2", "--cpu-percent=50")
        await eventually(lambda: wanted(cluster) == 2, "it is scaled up", patience_s=120)
        told = cluster.kubectl("describe", "hpa", "web")
        assert "SuccessfulRescale" in told
    finally:
        cluster.kubectl("delete", "hpa", "web", "--ignore-not-found")
        cluster.kubectl("delete", "deployment", "web", "--now")


@pytest.mark.root
async def test_what_a_container_says_is_read_from_it(cluster: Cluster) -> None:
    annotations = {"prometheus.io/scrape": "true", "prometheus.io/port": "8080"}
    container = {
        "name": "main",
        "image": "busybox:1.36",
        "command": ["/bin/sh", "-c", _SAYING],
    }
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "says", "annotations": annotations, "labels": {"app": "says"}},
            "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
        }
    )
    path = f"{CUSTOM}/default/pods/says/requests"
    try:
        await eventually(lambda: len(cluster.running("app=says")) == 1, "the pod runs")
        done = await eventually(
            lambda: (one := cluster.kubectl_run("get", "--raw", path)).returncode == 0 and one,
            "it was asked",
        )
        (item,) = json.loads(done.stdout)["items"]
        assert item["value"] == "45"
    finally:
        cluster.kubectl("delete", "pod", "says", "--now")
