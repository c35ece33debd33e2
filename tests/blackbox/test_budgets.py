"""Disruption budgets and evictions through kubectl, on hollow nodes: what the conformance suite asks
of policy/v1, one test each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from .driver import Cluster, eventually, is_ready, within

pytestmark = pytest.mark.slow
SPACE = "budgets"
PATH = f"/apis/policy/v1/namespaces/{SPACE}/poddisruptionbudgets/web"


@pytest.fixture
def kube(hollow: Cluster) -> Iterator[Cluster]:
    with within(hollow, SPACE) as own:
        yield own


async def run(kube: Cluster, replicas: int) -> list[str]:
    """Names of the pods of a Deployment web with so many replicas, once they are ready."""
    kube.kubectl("create", "deployment", "web", "--image=nginx", f"--replicas={replicas}")
    kube.kubectl("rollout", "status", "deploy/web", "--timeout=120s")
    pods = [pod for pod in kube.pods("app=web", SPACE) if is_ready(pod)]
    return [pod["metadata"]["name"] for pod in pods]


def budget(kube: Cluster, name: str = "web", at_least: str = "2", labels: str = "app=web") -> None:
    kube.kubectl("create", "pdb", name, f"--selector={labels}", f"--min-available={at_least}")


async def allows(kube: Cluster, count: int) -> dict[str, Any]:
    """The budget's status, once it is of its spec and lets so many go."""

    def look() -> bool:
        found = kube.get("pdb", "web")
        status = found["status"]
        seen = status.get("observedGeneration") == found["metadata"]["generation"]
        return bool(seen and status["disruptionsAllowed"] == count)

    await eventually(look, f"{count} may go")
    status: dict[str, Any] = kube.get("pdb", "web")["status"]
    return status


def evicted(kube: Cluster, pod: str) -> str:
    """What kubectl says when it asks for an eviction: nothing if it may."""
    wanted = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
    path = f"/api/v1/namespaces/{SPACE}/pods/{pod}/eviction"
    return kube.kubectl_run("create", "--raw", path, "-f", "-", stdin=json.dumps(wanted)).stderr


def test_budgets_are_listed_and_deleted_together(kube: Cluster) -> None:
    for name in ("a", "b", "c"):
        budget(kube, name, labels=f"app={name}")
    kube.kubectl("label", "pdb", "a", "b", "of=two")
    assert len(kube.kubectl("get", "pdb", "-A", "-l", "of=two", "-o=name").splitlines()) == 2
    kube.kubectl("delete", "pdb", "-l", "of=two")
    assert kube.kubectl("get", "pdb", "-o=name").strip() == "poddisruptionbudget.policy/c"


async def test_evictions_wait_until_the_budget_allows_them(kube: Cluster) -> None:
    pods = await run(kube, 2)
    budget(kube, at_least="2")
    await allows(kube, 0)
    assert "would violate the pod's disruption budget" in evicted(kube, pods[0])
    assert kube.get("pod", pods[0])["status"]["phase"] == "Running"
    kube.kubectl("scale", "deploy/web", "--replicas=3")
    await allows(kube, 1)
    assert evicted(kube, pods[0]) == ""
    await eventually(
        lambda: pods[0] not in [pod["metadata"]["name"] for pod in kube.pods("app=web", SPACE)],
        "the evicted pod is gone",
    )


async def test_a_budget_is_created_updated_patched_and_deleted(kube: Cluster) -> None:
    await run(kube, 3)
    budget(kube, at_least="1")
    await allows(kube, 2)
    there = kube.get("pdb", "web")
    there["spec"]["minAvailable"] = 2
    del there["metadata"]["resourceVersion"]
    kube.kubectl("replace", "-f", "-", stdin=json.dumps(there))
    await allows(kube, 1)
    patch = '{"spec":{"minAvailable":null,"maxUnavailable":"100%"}}'
    kube.kubectl("patch", "pdb/web", "--type=merge", "-p", patch)
    await allows(kube, 3)
    kube.kubectl("delete", "pdb", "web")
    assert "NotFound" in kube.kubectl("get", "pdb", "web", code=1)


async def test_a_status_tells_what_is_there(kube: Cluster) -> None:
    await run(kube, 3)
    budget(kube, at_least="1")
    status = await allows(kube, 2)
    counts = ("currentHealthy", "desiredHealthy", "expectedPods")
    assert [status[one] for one in counts] == [3, 1, 3]
    (condition,) = status["conditions"]
    told = (condition["type"], condition["status"], condition["reason"])
    assert told == ("DisruptionAllowed", "True", "SufficientPods")


async def test_a_status_is_a_resource_of_its_own(kube: Cluster) -> None:
    await run(kube, 1)
    budget(kube, at_least="1")
    await allows(kube, 0)
    patch = '{"status":{"disruptedPods":{"gone":"2026-01-02T03:04:05Z"}}}'
    kube.kubectl("patch", "pdb/web", "--subresource=status", "--type=merge", "-p", patch)
    status = json.loads(kube.kubectl("get", "--raw", f"{PATH}/status"))
    status["metadata"].setdefault("annotations", {})["touched"] = "yes"
    status["metadata"].pop("resourceVersion")
    status["status"]["disruptedPods"] = {}
    kube.kubectl("replace", "--raw", f"{PATH}/status", "-f", "-", stdin=json.dumps(status))
    await eventually(
        lambda: not kube.get("pdb", "web")["status"].get("disruptedPods"), "no disrupted pods"
    )
