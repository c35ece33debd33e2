"""Rows of Tables that are kept: they say what the object says now, whatever was read before."""

from __future__ import annotations

import pytest

from longshore.core.objects.kinds import Doc
from tests.doors.rig import TABLE, Kube, kube, pod

PODS = "/api/v1/namespaces/default/pods"
HPAS = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers"


async def rows(ask: Kube, target: str = PODS) -> list[Doc]:
    table = (await ask("GET", target, accept=TABLE)).doc
    names = [column["name"] for column in table["columnDefinitions"]]
    return [{**row, "cells": dict(zip(names, row["cells"], strict=True))} for row in table["rows"]]


@pytest.mark.parametrize("include", ["Metadata", "Object", "None"])
async def test_rows_from_stored_bytes_are_those_of_the_decoded_object(include: str) -> None:
    """Which are written where the answer is indented; names, managers and all their owners' too."""
    odd = {"annotations": {"b": 'a"},"spec":{}}]'}, "labels": {"spec": "x"}}
    async with kube() as ask:
        for name, more in (("a", {}), ("b", odd), ("c", {"finalizers": ["example.org/hold"]})):
            await ask("POST", f"{PODS}?fieldManager=one", pod(name, **more))
            status = {"status": {"podIPs": [{"ip": "10.0.0.1"}]}}
            merge = "application/merge-patch+json"
            path = f"{PODS}/{name}/status?fieldManager=two"
            assert (await ask("PATCH", path, status, content_type=merge)).status == 200
        for _ in range(2):
            compact = await ask("GET", f"{PODS}?includeObject={include}", accept=TABLE)
            pretty = await ask("GET", f"{PODS}?includeObject={include}&pretty=true", accept=TABLE)
            assert compact.body != pretty.body
            assert compact.doc == pretty.doc
        assert len(compact.doc["rows"]) == 3


async def test_a_changed_object_has_a_new_row() -> None:
    async with kube() as ask:
        await ask("POST", PODS, pod("a"))
        assert [row["cells"]["Status"] for row in await rows(ask)] == ["Pending"]
        patch = {"status": {"phase": "Running"}, "metadata": {"labels": {"x": "y"}}}
        merge = "application/merge-patch+json"
        answer = await ask("PATCH", f"{PODS}/a/status", patch, content_type=merge)
        [row] = await rows(ask)
        assert row["cells"]["Status"] == "Running"
        assert row["object"]["metadata"] == answer.doc["metadata"]


async def test_ages_go_on() -> None:
    async with kube() as ask:
        await ask("POST", PODS, pod("a"))
        seen = []
        for _ in range(2):
            seen += [row["cells"]["Age"] for row in await rows(ask)]
            await ask.clock.advance(300)
        assert seen == ["0s", "5m"]


async def test_versions_of_a_kind_have_rows_of_their_own() -> None:
    spec = {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "maxReplicas": 3}
    scaler = {"metadata": {"name": "web"}, "spec": spec}
    async with kube() as ask:
        answer = await ask("POST", HPAS, scaler)
        assert answer.status == 201, answer.body
        for version in ("v1", "v2", "v1"):
            [row] = await rows(ask, HPAS.replace("v1", version))
            assert row["cells"]["MaxPods"] == 3
            assert row["object"]["metadata"]["name"] == "web"


async def test_an_object_that_nobody_owns_a_field_of_has_a_whole_row() -> None:
    maps = "/api/v1/namespaces/default/configmaps"
    async with kube() as ask:
        answer = await ask("POST", maps, {"metadata": {"name": "bare"}})
        [row] = await rows(ask, maps)
        assert row["object"]["metadata"] == answer.doc["metadata"]
