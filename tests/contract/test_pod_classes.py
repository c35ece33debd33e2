"""Priority and runtime classes act on new pods, from what is stored."""

from __future__ import annotations

import asyncio
from typing import Any

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind

from ..doors.rig import Kube, kube, pod

PODS = "/api/v1/namespaces/default/pods"


def of_class(name: str, **spec: Any) -> Doc:
    doc = pod(name)
    doc["spec"].update(spec)
    return doc


async def add(api: Kube, kind: Kind, name: str, **body: Any) -> int:
    path = f"/apis/{kind.api_version}/{kind.plural}"
    return (await api("POST", path, {"metadata": {"name": name}, **body})).status


def test_priority_is_looked_up_and_a_default_given() -> None:
    async def scenario() -> None:
        async with kube() as api:
            refused = await api("POST", PODS, of_class("a", priorityClassName="high"))
            assert refused.status == 403
            assert refused.doc["message"] == (
                'pods "a" is forbidden: no PriorityClass with name high was found'
            )
            await add(api, kinds.PRIORITY_CLASS, "high", value=7, preemptionPolicy="Never")
            spec = (await api("POST", PODS, of_class("a", priorityClassName="high"))).doc["spec"]
            assert (spec["priority"], spec["preemptionPolicy"]) == (7, "Never")
            await add(api, kinds.PRIORITY_CLASS, "usual", value=3, globalDefault=True)
            spec = (await api("POST", PODS, pod("b"))).doc["spec"]
            assert (spec["priorityClassName"], spec["priority"]) == ("usual", 3)
            again = await add(api, kinds.PRIORITY_CLASS, "other", value=4, globalDefault=True)
            assert again == 403

    asyncio.run(scenario())


def test_a_runtime_class_must_be_there_and_adds_its_overhead() -> None:
    async def scenario() -> None:
        async with kube() as api:
            refused = await api("POST", PODS, of_class("a", runtimeClassName="kata"))
            assert refused.status == 403
            assert 'pod rejected: RuntimeClass "kata" not found' in refused.doc["message"]
            overhead = {"podFixed": {"cpu": "10m"}}
            assert (
                await add(api, kinds.RUNTIME_CLASS, "kata", handler="kata", overhead=overhead)
                == 201
            )
            made = await api("POST", PODS, of_class("a", runtimeClassName="kata"))
            assert made.status == 201, made.doc
            assert made.doc["spec"]["overhead"] == {"cpu": "10m"}

    asyncio.run(scenario())
