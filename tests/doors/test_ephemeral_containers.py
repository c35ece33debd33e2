"""pods/ephemeralcontainers: only additions, and nothing else of the pod."""

from __future__ import annotations

from typing import Any

from longshore.core.objects.kinds import Doc

from .rig import Answer, Kube, kube, pod

POD = "/api/v1/namespaces/default/pods/web"
EPHEMERAL = f"{POD}/ephemeralcontainers"
STRATEGIC = "application/strategic-merge-patch+json"


async def add(k: Kube, *containers: Doc) -> Answer:
    """As kubectl debug does it."""
    patch = {"spec": {"ephemeralContainers": list(containers)}}
    return await k("PATCH", EPHEMERAL, patch, content_type=STRATEGIC)


def debugger(name: str = "debugger", **more: Any) -> Doc:
    return {"name": name, "image": "busybox:1.36", **more}


async def test_containers_are_added_defaulted_and_counted() -> None:
    async with kube() as k:
        await k("POST", "/api/v1/namespaces/default/pods", pod("web"))
        added = await add(k, debugger(targetContainerName="main", tty=True, stdin=True))
        assert added.status == 200
        (one,) = added.doc["spec"]["ephemeralContainers"]
        assert (one["imagePullPolicy"], one["terminationMessagePolicy"]) == ("IfNotPresent", "File")
        assert added.doc["metadata"]["generation"] == 2
        again = (await add(k, debugger("second"))).doc
        assert {c["name"] for c in again["spec"]["ephemeralContainers"]} == {"debugger", "second"}
        assert (await k("GET", EPHEMERAL)).doc == again
        # The pod's own endpoint goes on to work, and does not touch them.
        again["metadata"]["labels"] = {"seen": "yes"}
        assert (await k("PUT", POD, again)).status == 200


async def test_nothing_else_of_the_pod_changes() -> None:
    async with kube() as k:
        made = (await k("POST", "/api/v1/namespaces/default/pods", pod("web"))).doc
        wished = {**made, "metadata": {**made["metadata"], "labels": {"a": "b"}}}
        wished["spec"] = {**made["spec"], "ephemeralContainers": [debugger()], "hostNetwork": True}
        changed = (await k("PUT", EPHEMERAL, wished)).doc
        assert "labels" not in changed["metadata"]
        assert "hostNetwork" not in changed["spec"]
        assert [c["name"] for c in changed["spec"]["ephemeralContainers"]] == ["debugger"]


async def test_what_is_there_stays_as_it_is() -> None:
    async with kube() as k:
        await k("POST", "/api/v1/namespaces/default/pods", pod("web"))
        made = (await add(k, debugger())).doc
        without = {**made, "spec": {**made["spec"], "ephemeralContainers": []}}
        refused = await k("PUT", EPHEMERAL, without)
        assert refused.status == 422
        words = 'Forbidden: existing ephemeral containers "debugger" may not be removed'
        assert words in refused.doc["message"]
        changed = await add(k, debugger(image="other:1"))
        assert 'ephemeral containers "debugger" may not be changed' in changed.doc["message"]


async def test_what_does_not_fit_is_named() -> None:
    async with kube() as k:
        await k("POST", "/api/v1/namespaces/default/pods", pod("web"))
        for wrong, words in (
            (debugger("main"), 'ephemeralContainers[0].name: Duplicate value: "main"'),
            (debugger(targetContainerName="no"), 'targetContainerName: Not found: "no"'),
            (
                debugger(ports=[{"containerPort": 80}]),
                "ports: Forbidden: cannot be set for an Ephemeral Container",
            ),
            (debugger(image=""), "image: Required value"),
        ):
            refused = await add(k, wrong)
            assert (refused.status, words in refused.doc["message"]) == (422, True), refused.doc
        on_create = pod("other")
        on_create["spec"]["ephemeralContainers"] = [debugger()]
        refused = await k("POST", "/api/v1/namespaces/default/pods", on_create)
        assert "cannot be set on create" in refused.doc["message"]
