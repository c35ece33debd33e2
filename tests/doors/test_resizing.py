"""pods/resize: cpu and memory of the containers there are, and nothing else of the pod."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.core.objects.kinds import Doc

from .rig import Answer, Kube, kube, pod

PODS = "/api/v1/namespaces/default/pods"
RESIZE = f"{PODS}/web/resize"
STRATEGIC = "application/strategic-merge-patch+json"


def asking(of_cpu: str = "100m", of_memory: str = "64Mi", **limits: str) -> Doc:
    resources: Doc = {"requests": {"cpu": of_cpu, "memory": of_memory}}
    return {**resources, "limits": limits} if limits else resources


def web(resources: Doc, **more: Any) -> Doc:
    doc = pod("web")
    doc["spec"]["containers"][0]["resources"] = resources
    doc["spec"] |= more
    return doc


async def resize(k: Kube, *containers: Doc, **more: Any) -> Answer:
    """As kubectl patch --subresource resize does it."""
    spec = {"containers": list(containers), **more} if containers else more
    return await k("PATCH", RESIZE, {"spec": spec}, content_type=STRATEGIC)


async def test_cpu_and_memory_change_and_are_counted() -> None:
    async with kube() as k:
        await k("POST", PODS, web(asking()))
        answer = await resize(k, {"name": "main", "resources": asking("200m", cpu="500m")})
        assert answer.status == 200, answer.doc
        (main,) = answer.doc["spec"]["containers"]
        assert main["resources"]["requests"] == {"cpu": "200m", "memory": "64Mi"}
        assert main["resources"]["limits"] == {"cpu": "500m"}
        assert answer.doc["metadata"]["generation"] == 2
        assert (await k("GET", RESIZE)).doc == answer.doc


async def test_it_may_be_replaced_and_nothing_else_of_the_pod_changes() -> None:
    async with kube() as k:
        made = (await k("POST", PODS, web(asking()))).doc
        wished = {**made, "metadata": {**made["metadata"], "labels": {"a": "b"}}}
        wished["spec"] = {**made["spec"], "hostNetwork": True, "activeDeadlineSeconds": 5}
        wished["spec"]["containers"] = [
            {**made["spec"]["containers"][0], "image": "other:1", "resources": asking("300m")}
        ]
        changed = (await k("PUT", RESIZE, wished)).doc
        assert "labels" not in changed["metadata"]
        assert not {"hostNetwork", "activeDeadlineSeconds"} & changed["spec"].keys()
        (main,) = changed["spec"]["containers"]
        assert (main["image"], main["resources"]["requests"]["cpu"]) == ("nginx:1.27", "300m")


async def test_equal_amounts_written_otherwise_are_a_change_of_the_spec_alone() -> None:
    async with kube() as k:
        await k("POST", PODS, web(asking("1", "1Gi")))
        answer = await resize(k, {"name": "main", "resources": asking("1000m", "1024Mi")})
        assert answer.status == 200


async def test_the_pods_own_endpoint_does_not_resize() -> None:
    async with kube() as k:
        made = (await k("POST", PODS, web(asking()))).doc
        made["spec"]["containers"][0]["resources"] = asking("200m")
        refused = await k("PUT", f"{PODS}/web", made)
        assert (refused.status, "pod updates may not change" in refused.doc["message"]) == (
            422,
            True,
        )


@pytest.mark.parametrize(
    ("before", "change", "words"),
    [
        (asking(), {"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}, "must be less than or equal to cpu limit"),
        (asking("1", "1Gi", cpu="1", memory="1Gi"), {"requests": {"cpu": "500m"}}, "Pod QOS Class may not change"),
        (asking(), {"requests": {"cpu": None}}, "resources.requests: Forbidden: resource requests cannot be removed"),
        (asking(cpu="1"), {"limits": None}, "resources.limits: Forbidden: resource limits cannot be removed"),
        (asking(), {"requests": {"ephemeral-storage": "1Gi"}}, "only cpu and memory resources are mutable"),
        ({}, {"requests": {"cpu": "1"}}, "Pod QOS Class may not change as a result of resizing"),
    ],
)  # fmt: skip
async def test_what_may_not_be(before: Doc, change: Doc, words: str) -> None:
    async with kube() as k:
        await k("POST", PODS, web(before))
        refused = await resize(k, {"name": "main", "resources": change})
        assert (refused.status, words in refused.doc["message"]) == (422, True), refused.doc


async def test_containers_stay_the_same_in_the_same_order() -> None:
    async with kube() as k:
        made = (await k("POST", PODS, web(asking()))).doc
        (main,) = made["spec"]["containers"]
        for containers, words in (
            ([main, {**main, "name": "two"}], "containers may not be added or removed on resize"),
            ([{**main, "name": "two"}], "containers may not be renamed or reordered on resize"),
        ):
            wished = {**made, "spec": {**made["spec"], "containers": containers}}
            refused = await k("PUT", RESIZE, wished)
            assert (refused.status, words in refused.doc["message"]) == (422, True), refused.doc


async def test_who_restarts_when_cannot_change_with_it() -> None:
    policy = {"resourceName": "cpu", "restartPolicy": "RestartContainer"}
    async with kube() as k:
        await k("POST", PODS, web(asking()))
        refused = await resize(k, {"name": "main", "resizePolicy": [policy]})
        assert (refused.status, refused.doc["reason"]) == (422, "Invalid")


async def test_mirrors_of_static_pods_are_not_resized() -> None:
    async with kube() as k:
        doc = web(asking())
        doc["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
        doc["spec"]["nodeName"] = "n1"
        has = {"cpu": "2", "memory": "1Gi"}
        node = {"metadata": {"name": "n1"}, "status": {"allocatable": has, "capacity": has}}
        await k("POST", "/api/v1/nodes", node)
        made = await k("POST", PODS, doc)
        assert made.status == 201, made.doc
        refused = await resize(k, {"name": "main", "resources": asking("200m")})
        assert "static pods cannot be resized" in refused.doc["message"]


async def test_a_quota_holds_what_a_resized_pod_may_ask_for() -> None:
    async with kube() as k:
        quota = {"metadata": {"name": "q"}, "spec": {"hard": {"requests.cpu": "1"}}}
        await k("POST", "/api/v1/namespaces/default/resourcequotas", quota)
        await k("POST", PODS, web(asking("500m")))
        refused = await resize(k, {"name": "main", "resources": asking("1500m")})
        assert (refused.status, "exceeded quota: q" in refused.doc["message"]) == (403, True), (
            refused.doc
        )
        assert (await resize(k, {"name": "main", "resources": asking("900m")})).status == 200


async def test_a_limit_range_holds_what_a_resized_pod_may_ask_for() -> None:
    async with kube() as k:
        most = {"type": "Container", "max": {"cpu": "1"}}
        doc = web(asking(cpu="1"))
        await k("POST", PODS, doc)
        limits = {"metadata": {"name": "l"}, "spec": {"limits": [most]}}
        await k("POST", "/api/v1/namespaces/default/limitranges", limits)
        refused = await resize(k, {"name": "main", "resources": {"limits": {"cpu": "2"}}})
        assert (
            refused.status,
            "maximum cpu usage per Container is 1" in refused.doc["message"],
        ) == (403, True)


async def test_nobody_asks_a_node_for_more_than_it_has() -> None:
    async with kube() as k:
        has = {"cpu": "2", "memory": "1Gi", "pods": "110"}
        node = {"metadata": {"name": "n1"}, "status": {"allocatable": has, "capacity": has}}
        await k("POST", "/api/v1/nodes", node)
        await k("POST", PODS, web(asking(), nodeName="n1"))
        refused = await resize(k, {"name": "main", "resources": asking("3", "2Gi")})
        words = (
            "node didn't have enough allocatable resources: cpu, requested: 3000, allocatable: "
            "2000; memory, requested: 2147483648, allocatable: 1073741824"
        )
        assert (refused.status, words in refused.doc["message"]) == (403, True), refused.doc
        assert (await resize(k, {"name": "main", "resources": asking("2")})).status == 200
