"""Rule 33: a pod is given its node once, by a binding."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.core.objects.kinds import Doc
from tests.doors.rig import Answer, Kube, kube, pod

PODS, BINDINGS = "/api/v1/namespaces/default/pods", "/api/v1/namespaces/default/bindings"


def binding(**more: Any) -> Doc:
    return {
        "apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"},
        "target": {"apiVersion": "v1", "kind": "Node", "name": "n"},
    } | more  # fmt: skip


async def bind(ask: Kube, body: Any = None, query: str = "") -> Answer:
    return await ask("POST", f"{PODS}/p/binding{query}", body or binding())


async def test_a_bound_pod_has_its_node_and_says_so() -> None:
    async with kube() as ask:
        await ask("POST", PODS, pod("p"))
        done = await bind(ask)
        assert (done.status, done.doc["kind"], done.doc["status"]) == (201, "Status", "Success")
        after = (await ask("GET", f"{PODS}/p")).doc
        assert after["spec"]["nodeName"] == "n"
        (scheduled,) = [c for c in after["status"]["conditions"] if c["type"] == "PodScheduled"]
        assert scheduled["status"] == "True"


async def test_a_binding_may_be_posted_to_its_collection() -> None:
    async with kube() as ask:
        await ask("POST", PODS, pod("p"))
        assert (await ask("POST", BINDINGS, binding())).status == 201
        assert (await ask("GET", f"{PODS}/p")).doc["spec"]["nodeName"] == "n"


async def test_a_second_binding_is_a_conflict() -> None:
    async with kube() as ask:
        await ask("POST", PODS, pod("p"))
        await bind(ask)
        again = await bind(ask, binding(target={"kind": "Node", "name": "m"}))
        assert (again.status, again.doc["reason"]) == (409, "Conflict")
        assert again.doc["message"] == (
            'Operation cannot be fulfilled on pods/binding "p": '
            'pod p is already assigned to node "n"'
        )


async def test_what_a_binding_carries_is_added_to_the_pod() -> None:
    async with kube() as ask:
        await ask("POST", PODS, pod("p", labels={"a": "1", "b": "1"}))
        metadata = {"name": "p", "labels": {"b": "2"}, "annotations": {"c": "3"}}
        assert (await bind(ask, binding(metadata=metadata))).status == 201
        after = (await ask("GET", f"{PODS}/p")).doc["metadata"]
        assert after["labels"] == {"a": "1", "b": "2"}
        assert after["annotations"] == {"c": "3"}


async def test_a_pod_gets_the_topology_of_its_node() -> None:
    async with kube() as ask:
        theirs = {"topology.kubernetes.io/zone": "z", "topology.kubernetes.io/region": "r"}
        node = {"metadata": {"name": "n", "labels": {**theirs, "disk": "ssd"}}}
        assert (await ask("POST", "/api/v1/nodes", node)).status == 201
        await ask("POST", PODS, pod("p", labels={"a": "1"}))
        await bind(ask)
        assert (await ask("GET", f"{PODS}/p")).doc["metadata"]["labels"] == {"a": "1", **theirs}


async def test_a_nomination_ends_with_the_binding() -> None:
    async with kube() as ask:
        await ask("POST", PODS, pod("p"))
        merge = {"content_type": "application/merge-patch+json"}
        nominated = {"status": {"nominatedNodeName": "m"}}
        await ask("PATCH", f"{PODS}/p/status", nominated, **merge)
        await bind(ask)
        assert "nominatedNodeName" not in (await ask("GET", f"{PODS}/p")).doc["status"]


@pytest.mark.parametrize("wanted", [{"uid": "other"}, {"resourceVersion": "1"}])
async def test_preconditions_are_conflicts(wanted: Doc) -> None:
    async with kube() as ask:
        await ask("POST", PODS, pod("p"))
        refused = await bind(ask, binding(metadata={"name": "p", **wanted}))
        assert (refused.status, refused.doc["reason"]) == (409, "Conflict")
        assert "Precondition failed" in refused.doc["message"]


async def test_gated_pods_are_not_bound() -> None:
    async with kube() as ask:
        gated = pod("p")
        gated["spec"]["schedulingGates"] = [{"name": "example.com/later"}]
        await ask("POST", PODS, gated)
        refused = await bind(ask)
        assert refused.status == 409
        assert "pod p has non-empty .spec.schedulingGates" in refused.doc["message"]


async def test_pods_that_go_are_not_bound() -> None:
    async with kube() as ask:
        await ask("POST", PODS, pod("p", finalizers=["example.com/hold"]))
        await ask("DELETE", f"{PODS}/p")
        refused = await bind(ask)
        assert refused.status == 409
        assert "pod p is being deleted, cannot be assigned to a host" in refused.doc["message"]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (
            binding(target={"kind": "Rack", "name": "n"}), 422,
            'target.kind: Unsupported value: "Rack": supported values: "Node", "<empty>"',
        ),
        (binding(target={"kind": "Node"}), 422, "target.name: Required value"),
        (binding(target="n"), 400, "cannot unmarshal"),
        (binding(metadata={"name": "q"}), 400, "does not match the name on the URL"),
        (binding(kind="Pod"), 400, "does not match the expected kind"),
    ],
)  # fmt: skip
async def test_what_is_no_binding(body: Doc, status: int, said: str) -> None:
    async with kube() as ask:
        await ask("POST", PODS, pod("p"))
        refused = await bind(ask, body)
        assert refused.status == status
        assert said in refused.doc["message"]
        assert "nodeName" not in (await ask("GET", f"{PODS}/p")).doc["spec"]


async def test_a_pod_that_is_not_there() -> None:
    async with kube() as ask:
        refused = await bind(ask)
        assert (refused.status, refused.doc["message"]) == (404, 'pods "p" not found')


async def test_a_dry_run_binds_nothing() -> None:
    async with kube() as ask:
        await ask("POST", PODS, pod("p"))
        assert (await bind(ask, query="?dryRun=All")).status == 201
        assert "nodeName" not in (await ask("GET", f"{PODS}/p")).doc["spec"]
