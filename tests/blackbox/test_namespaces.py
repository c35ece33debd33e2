"""Namespaces through kubectl, on hollow nodes: what the conformance suite asks of them, one test
each."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from .driver import Cluster, eventually

pytestmark = pytest.mark.slow
NAME = "spaces"
PATH = f"/api/v1/namespaces/{NAME}"


@pytest.fixture
def kube(hollow: Cluster) -> Iterator[Cluster]:
    hollow.kubectl("create", "namespace", NAME)
    yield hollow
    hollow.kubectl("delete", "namespace", NAME, "--ignore-not-found", "--timeout=120s")


def test_patched(kube: Cluster) -> None:
    kube.kubectl("patch", "ns", NAME, "-p", '{"metadata":{"labels":{"patched":"yes"}}}')
    assert kube.get("ns", NAME)["metadata"]["labels"]["patched"] == "yes"


def test_updated(kube: Cluster) -> None:
    there = kube.get("ns", NAME)
    there["metadata"]["labels"]["updated"] = "yes"
    kube.kubectl("replace", "-f", "-", stdin=json.dumps(there))
    assert kube.get("ns", NAME)["metadata"]["labels"]["updated"] == "yes"


def test_a_status_is_a_resource_of_its_own(kube: Cluster) -> None:
    condition = {"type": "StatusPatched", "status": "True", "reason": "Test", "message": "set"}
    patch = json.dumps({"status": {"conditions": [condition]}})
    kube.kubectl("patch", "ns", NAME, "--subresource=status", "--type=merge", "-p", patch)
    status = json.loads(kube.kubectl("get", "--raw", f"{PATH}/status"))
    status["status"]["conditions"].append({**condition, "type": "StatusUpdated"})
    kube.kubectl("replace", "--raw", f"{PATH}/status", "-f", "-", stdin=json.dumps(status))
    types = [one["type"] for one in kube.get("ns", NAME)["status"]["conditions"]]
    assert types == ["StatusPatched", "StatusUpdated"]


def test_its_finalizers_are_changed_by_a_subresource(kube: Cluster) -> None:
    there = kube.get("ns", NAME)
    there["spec"]["finalizers"].append("example.com/hold")
    kube.kubectl("replace", "--raw", f"{PATH}/finalize", "-f", "-", stdin=json.dumps(there))
    there = kube.get("ns", NAME)
    assert there["spec"]["finalizers"] == ["kubernetes", "example.com/hold"]
    there["spec"]["finalizers"].remove("example.com/hold")
    kube.kubectl("replace", "--raw", f"{PATH}/finalize", "-f", "-", stdin=json.dumps(there))
    assert kube.get("ns", NAME)["spec"]["finalizers"] == ["kubernetes"]


@pytest.mark.parametrize("kind", ["pod", "service"])
def test_all_that_is_in_it_goes_with_it(kube: Cluster, kind: str) -> None:
    words = ("run",) if kind == "pod" else ("create", "service", "clusterip")
    last = "--image=nginx" if kind == "pod" else "--tcp=80"
    kube.kubectl(*words, "one", last, "-n", NAME)
    kube.kubectl("delete", "ns", NAME, "--timeout=120s")
    kube.kubectl("create", "namespace", NAME)
    assert kube.get(kind, "-n", NAME)["items"] == []


async def test_pods_go_before_what_they_may_need(kube: Cluster) -> None:
    """Ordered deletion (KEP-5080): while a pod is held, the ConfigMaps stay."""
    kube.kubectl("run", "held", "--image=nginx", "-n", NAME)
    kube.kubectl("create", "configmap", "needed", "-n", NAME)
    hold = '{"metadata":{"finalizers":["example.com/hold"]}}'
    kube.kubectl("patch", "pod", "held", "-n", NAME, "--type=merge", "-p", hold)
    kube.kubectl("delete", "ns", NAME, "--wait=false")

    def conditions() -> dict[str, str]:
        told = kube.get("ns", NAME)["status"].get("conditions", [])
        return {one["type"]: one["status"] for one in told}

    await eventually(
        lambda: conditions().get("NamespaceFinalizersRemaining") == "True", "it waits for the pod"
    )
    assert "deletionTimestamp" in kube.get("pod", "held", "-n", NAME)["metadata"]
    assert "deletionTimestamp" not in kube.get("configmap", "needed", "-n", NAME)["metadata"]
    kube.kubectl("patch", "pod", "held", "-n", NAME, "--type=merge", "-p",
                 '{"metadata":{"finalizers":null}}')  # fmt: skip
    kube.kubectl("wait", "--for=delete", f"ns/{NAME}", "--timeout=120s")
