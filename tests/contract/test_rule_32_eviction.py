"""Rule 32: an eviction deletes a pod if its disruption budget can spare one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from longshore.base.users import User
from longshore.core.objects.kinds import Doc
from tests.doors.rig import Answer, Kube, kube, pod

PODS = "/api/v1/namespaces/default/pods"
BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
VIOLATES = "Cannot evict pod as it would violate the pod's disruption budget."


async def start(ask: Kube, name: str, phase: str = "Running", *, ready: bool = True) -> Doc:
    """A pod with the label app=web, bound and in a phase."""
    assert (await ask("POST", PODS, pod(name, labels={"app": "web"}))).status == 201
    bound = {"metadata": {"name": name}, "target": {"kind": "Node", "name": "n1"}}
    assert (await ask("POST", f"{PODS}/{name}/binding", bound)).status == 201
    status = {"phase": phase, "conditions": [{"type": "Ready", "status": str(ready)}]}
    merge = "application/merge-patch+json"
    said = await ask("PATCH", f"{PODS}/{name}/status", {"status": status}, content_type=merge)
    doc: Doc = said.doc
    return doc


async def budget(ask: Kube, name: str, counted: Doc | None, **spec: Any) -> None:
    """A budget for app=web; counted is the status that its controller has written."""
    wanted = {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}, **spec}
    made = await ask("POST", BUDGETS, {"metadata": {"name": name}, "spec": wanted})
    assert made.status == 201, made.doc
    if counted is not None:
        status = {
            "observedGeneration": 1, "disruptionsAllowed": 0, "currentHealthy": 1,
            "desiredHealthy": 1, "expectedPods": 1, **counted,
        }  # fmt: skip
        said = await ask("PUT", f"{BUDGETS}/{name}/status", {**made.doc, "status": status})
        assert said.status == 200, said.doc


async def evict(ask: Kube, name: str, query: str = "", **options: Any) -> Answer:
    body: Doc = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    if options:
        body["deleteOptions"] = options
    return await ask("POST", f"{PODS}/{name}/eviction{query}", body)


async def fetched(ask: Kube, name: str) -> Doc | None:
    answer = await ask("GET", f"{PODS}/{name}")
    return answer.doc if answer.status == 200 else None


async def test_without_a_budget_the_pod_is_deleted_and_says_why() -> None:
    async with kube() as ask:
        await start(ask, "web-1")
        answer = await evict(ask, "web-1")
        assert (answer.status, answer.doc["status"], answer.doc["code"]) == (201, "Success", 201)
        left = await fetched(ask, "web-1")
        assert left is not None and left["metadata"]["deletionGracePeriodSeconds"] == 30
        target = next(c for c in left["status"]["conditions"] if c["type"] == "DisruptionTarget")
        assert (target["status"], target["reason"]) == ("True", "EvictionByEvictionAPI")


async def test_delete_options_are_honoured() -> None:
    async with kube() as ask:
        await start(ask, "web-1")
        assert (await evict(ask, "web-1", gracePeriodSeconds=5)).status == 201
        left = await fetched(ask, "web-1")
        assert left is not None and left["metadata"]["deletionGracePeriodSeconds"] == 5
        assert (await evict(ask, "web-1", gracePeriodSeconds=0)).status == 201
        assert await fetched(ask, "web-1") is None


@pytest.mark.parametrize("query", ["", "?dryRun=All"])
async def test_a_dry_run_changes_nothing(query: str) -> None:
    async with kube() as ask:
        before = await start(ask, "web-1")
        await budget(ask, "one", {"disruptionsAllowed": 1})
        revision = ask.registry.cache.revision
        options = {} if query else {"dryRun": ["All"]}
        assert (await evict(ask, "web-1", query, **options)).status == 201
        assert await fetched(ask, "web-1") == before
        assert ask.registry.cache.revision == revision


@pytest.mark.parametrize("which", ["uid", "resourceVersion"])
async def test_preconditions_hold(which: str) -> None:
    async with kube() as ask:
        made = await start(ask, "web-1")
        wrong = await evict(ask, "web-1", preconditions={which: "1"})
        assert (wrong.status, wrong.doc["reason"]) == (409, "Conflict")
        assert await fetched(ask, "web-1") == made
        right = await evict(ask, "web-1", preconditions={which: made["metadata"][which]})
        assert right.status == 201


async def test_a_budget_that_nobody_counted_yet_blocks() -> None:
    async with kube() as ask:
        await start(ask, "web-1")
        await budget(ask, "one", None)
        answer = await evict(ask, "web-1")
        assert (answer.status, answer.doc["reason"]) == (429, "TooManyRequests")
        assert answer.doc["message"] == VIOLATES
        assert answer.headers["Retry-After"] == "10"
        assert answer.doc["details"] == {
            "causes": [{
                "reason": "DisruptionBudget",
                "message": "The disruption budget one is still being processed by the server.",
            }],
            "retryAfterSeconds": 10,
        }  # fmt: skip


async def test_a_budget_with_none_to_spare_blocks() -> None:
    async with kube() as ask:
        before = await start(ask, "web-1")
        await budget(ask, "one", {"desiredHealthy": 2, "currentHealthy": 2})
        answer = await evict(ask, "web-1")
        assert (answer.status, answer.doc["message"]) == (429, VIOLATES)
        assert answer.doc["details"]["causes"] == [{
            "reason": "DisruptionBudget",
            "message": "The disruption budget one needs 2 healthy pods and has 2 currently",
        }]  # fmt: skip
        assert await fetched(ask, "web-1") == before


async def test_an_eviction_is_taken_from_the_budget() -> None:
    async with kube() as ask:
        await start(ask, "web-1")
        await start(ask, "web-2")
        await budget(ask, "one", {"disruptionsAllowed": 1, "currentHealthy": 2})
        both = await asyncio.gather(evict(ask, "web-1"), evict(ask, "web-2"))
        assert sorted(answer.status for answer in both) == [201, 429]
        status = (await ask("GET", f"{BUDGETS}/one")).doc["status"]
        assert status["disruptionsAllowed"] == 0
        assert len(status["disruptedPods"]) == 1
        allowed = next(c for c in status["conditions"] if c["type"] == "DisruptionAllowed")
        assert (allowed["status"], allowed["reason"]) == ("False", "InsufficientPods")


async def test_several_budgets_are_not_served() -> None:
    async with kube() as ask:
        await start(ask, "web-1")
        await budget(ask, "one", {"disruptionsAllowed": 1})
        await budget(ask, "two", {"disruptionsAllowed": 1})
        answer = await evict(ask, "web-1")
        assert answer.status == 500
        assert "more than one PodDisruptionBudget" in answer.doc["message"]


@pytest.mark.parametrize("phase", ["Succeeded", "Failed", "Pending"])
async def test_pods_that_do_not_run_are_always_evicted(phase: str) -> None:
    async with kube() as ask:
        await start(ask, "web-1", phase, ready=False)
        await budget(ask, "one", None)
        assert (await evict(ask, "web-1")).status == 201


@pytest.mark.parametrize(
    ("counted", "spec", "status"),
    [
        ({"currentHealthy": 2, "desiredHealthy": 1}, {}, 201),
        ({"currentHealthy": 0, "desiredHealthy": 1}, {}, 429),
        ({"currentHealthy": 0}, {"unhealthyPodEvictionPolicy": "AlwaysAllow"}, 201),
        ({"currentHealthy": 0}, {"unhealthyPodEvictionPolicy": "IfHealthyBudget"}, 429),
    ],
)
async def test_a_pod_that_is_not_ready(counted: Doc, spec: Doc, status: int) -> None:
    async with kube() as ask:
        await start(ask, "web-1", ready=False)
        await budget(ask, "one", counted, **spec)
        assert (await evict(ask, "web-1")).status == status


async def test_refusals() -> None:
    async with kube() as ask:
        await start(ask, "web-1")
        assert (await evict(ask, "none")).status == 404
        answer = await ask("POST", f"{PODS}/web-1/eviction", {"metadata": {"name": "other"}})
        assert answer.status == 400
        wrong = await ask("POST", f"{PODS}/web-1/eviction", {"kind": "Pod"})
        assert wrong.status == 400
        ask.user = User("jane", ("system:authenticated",))
        answer = await evict(ask, "web-1")
        assert answer.status == 403
        assert 'cannot create resource "pods/eviction" in API group ""' in answer.doc["message"]


async def test_bindings_may_be_posted_to_their_collection() -> None:
    async with kube() as ask:
        assert (await ask("POST", PODS, pod("web-1"))).status == 201
        path = "/api/v1/namespaces/default/bindings"
        bound = {"metadata": {"name": "web-1"}, "target": {"kind": "Node", "name": "n1"}}
        assert (await ask("POST", path, bound)).status == 201
        assert (await ask("GET", f"{PODS}/web-1")).doc["spec"]["nodeName"] == "n1"
        assert (await ask("POST", path, bound)).status == 409
        assert (await ask("POST", path, {"target": {"name": "n1"}})).status == 400
