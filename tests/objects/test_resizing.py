"""What a pod is counted for while its resources change."""

from __future__ import annotations

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.objects.pod_requests import requests_of
from longshore.core.objects.quota.usage import usage_of
from longshore.core.objects.resizing import accounted, settled_generation


def pod(wanted: str, allocated: str = "", actual: str = "", *, infeasible: bool = False) -> Doc:
    """A pod of one container with requests of cpu; limits are twice that."""
    told: Doc = {"name": "main"}
    if allocated:
        told["allocatedResources"] = {"cpu": allocated}
    if actual:
        told["resources"] = amounts(actual)
    status: Doc = {"phase": "Running", "containerStatuses": [told]}
    if infeasible:
        status["conditions"] = [
            {"type": "PodResizePending", "reason": "Infeasible", "status": "True"}
        ]
    spec = {"containers": [{"name": "main", "resources": amounts(wanted)}]}
    return {"metadata": {"name": "web", "generation": 2}, "spec": spec, "status": status}


def amounts(cpu: str) -> Doc:
    return {"requests": {"cpu": cpu}, "limits": {"cpu": f"{2 * int(cpu)}"}}


def cpu(doc: Doc) -> int:
    return requests_of(accounted(doc))["cpu"]


def test_a_pod_counts_for_the_most_of_what_it_wants_was_given_and_has() -> None:
    assert cpu(pod("2", "1", "1")) == 2000
    assert cpu(pod("1", "2", "2")) == 2000
    assert cpu(pod("1", "1", "2")) == 2000
    assert cpu(pod("1", "2")) == 2000


def test_what_can_never_be_does_not_count() -> None:
    assert cpu(pod("100", "1", "1", infeasible=True)) == 1000


def test_what_is_settled_is_the_pods_own_spec() -> None:
    for doc in (pod("1"), pod("1", "1"), pod("1", "1", "1")):
        assert accounted(doc) is doc["spec"]
        assert settled_generation(doc) == 2
    assert settled_generation(pod("1", "2", "2")) is None


def test_a_pod_that_was_never_changed_is_not_looked_at() -> None:
    doc = pod("1", "2", "2")
    doc["metadata"]["generation"] = 1
    assert accounted(doc) is doc["spec"]


def test_a_pod_as_a_whole_counts_in_the_same_way() -> None:
    doc = pod("1", "1", "1")
    doc["spec"]["resources"] = {"requests": {"cpu": "3"}}
    doc["status"] |= {"allocatedResources": {"cpu": "4"}, "resources": {"requests": {"cpu": "5"}}}
    assert cpu(doc) == 5000


def test_a_quota_counts_limits_that_a_container_still_has() -> None:
    used = usage_of(kinds.POD, pod("1", "1", "2"))
    assert (used["requests.cpu"].text, used["limits.cpu"].text) == ("2", "4")
