"""longshore usage and recommend against a running cluster of hollow nodes, and kubectl beside them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from longshore.base.clock import SystemClock

from .conftest import started
from .driver import Cluster, eventually, is_ready, longshore, longshore_run

pytestmark = pytest.mark.slow

_RAW = "/apis/usage.longshore.io/v1/namespaces/shop/projectusages/shop?sinceSeconds=600"


@pytest.fixture
def own(short_root: Path) -> Iterator[Cluster]:
    """A cluster of its own, which is stopped in the middle of the test."""
    cluster = started("usage", short_root, "--hollow")
    try:
        yield cluster
    finally:
        cluster.longshore("down")


def ask(cluster: Cluster, *words: str) -> str:
    return longshore(*words, env={"KUBECONFIG": cluster.kubeconfig})


def refusal(cluster: Cluster, *words: str) -> str:
    done = longshore_run(*words, env={"KUBECONFIG": cluster.kubeconfig})
    assert done.returncode == 2, done.stdout
    return done.stderr


def deployment() -> dict[str, Any]:
    resources = {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"memory": "2Gi"}}
    containers = [{"name": "main", "image": "registry.test/app:1", "resources": resources}]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": containers},
            },
        },
    }


async def test_usage_is_kept_through_a_restart_and_recommendations_follow(own: Cluster) -> None:
    own.kubectl("create", "namespace", "shop")
    said = refusal(own, "usage", "--project", "shop")
    assert "nothing is known of what 'shop' used" in said
    own.apply(deployment())
    await eventually(
        lambda: len(list(filter(is_ready, own.pods("app=web", "shop")))) == 2, "it runs"
    )
    assert "was not measured yet" in refusal(own, "recommend", "-n", "shop", "deploy/web")
    assert "written every quarter of an hour" in ask(own, "recommend", "-n", "shop")
    began = SystemClock().monotonic()
    await eventually(lambda: SystemClock().monotonic() > began + 2, "seconds to be counted")
    # What is there when a server begins is measured at once; what is not written yet, and what workloads
    # use, is when one ends.
    _restart(own)
    before = _used(own)
    assert before["seconds"] > 0
    await eventually(lambda: _samples(own) >= 2, "both pods are measured")
    _restart(own)
    after = _used(own)
    assert all(after[column] >= before[column] for column in before)
    assert after["cpu"] > 0
    assert after["cpuRequests"] == pytest.approx(2000 * after["seconds"], abs=4000)
    assert " requested (" in ask(own, "usage", "--project", "shop", "--since", "10m")
    assert [line.split()[0] for line in ask(own, "usage").splitlines()] == ["PROJECT", "shop"]

    _recommendations(own)
    _by_kubectl(own)


def _restart(cluster: Cluster) -> None:
    cluster.longshore("stop")
    cluster.longshore("start")


def _samples(cluster: Cluster) -> float:
    told = cluster.kubectl("get", "--raw", "/metrics").splitlines()
    (line,) = [one for one in told if one.startswith("longshore_usage_samples_total")]
    return float(line.split()[1])


def _used(cluster: Cluster) -> dict[str, int]:
    done = longshore_run(
        "usage", "--project", "shop", "--since", "1h", "--json",
        env={"KUBECONFIG": cluster.kubeconfig},
    )  # fmt: skip
    totals: dict[str, int] = (
        json.loads(done.stdout)["totals"] if done.returncode == 0 else {"cpu": 0}
    )
    return totals


def _recommendations(cluster: Cluster) -> None:
    said = refusal(cluster, "recommend", "-n", "shop", "deploy/web")
    assert "deployment/web, main: too little history: measured since 20" in said
    words = ("recommend", "-n", "shop", "deploy/web", "--min-history", "0s")
    (told,) = json.loads(ask(cluster, *words, "--json"))["recommendations"]
    # Hollow containers use half of their requests; 15 % is added, and the width of a bucket.
    assert told["recommended"]["target"]["cpu"] in {f"{millis}m" for millis in range(575, 610)}
    assert told["requests"] == {"cpu": "1", "memory": "2Gi"}
    (line,) = ask(cluster, *words, "--patch").splitlines()
    cluster.kubectl(*shlex.split(line)[1:], "--dry-run=server")
    cluster.kubectl(*shlex.split(line)[1:])
    template = cluster.get("deployment", "web", "-n", "shop")["spec"]["template"]["spec"]
    wanted = told["recommended"]["target"]
    assert template["containers"][0]["resources"]["requests"] == wanted


def _by_kubectl(cluster: Cluster) -> None:
    raw = json.loads(cluster.kubectl("get", "--raw", _RAW))
    assert raw["kind"] == "ProjectUsage"
    shown = cluster.kubectl("get", "projectusages", "-A").splitlines()
    assert shown[0].split()[:3] == ["NAMESPACE", "NAME", "CPU"]
    assert shown[1].split()[:2] == ["shop", "shop"]
    assert "deployment-web" in cluster.kubectl("get", "wu", "-n", "shop", "-o", "name")
    refused = cluster.kubectl_run("get", "projectusages", "-n", "shop", "--as", "jane")
    assert 'cannot list resource "pods"' in refused.stderr
    assert "Sums over the window" in cluster.kubectl("explain", "projectusages.totals")
