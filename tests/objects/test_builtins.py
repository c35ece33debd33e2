"""The objects of every cluster pass its own rules, and are there after the bootstrap."""

from __future__ import annotations

import asyncio

import pytest

from longshore.base.users import loop_user
from longshore.cluster.server.bootstrap import bootstrap
from longshore.core.objects import kinds
from longshore.core.registry.inprocess import InProcess
from longshore.testing.clock import settle

from ..doors.rig import kube


def test_bootstrap_is_complete_and_idempotent() -> None:
    async def scenario() -> None:
        async with kube() as api:
            client = InProcess(api.registry, loop_user("bootstrap"))
            await bootstrap(client, [])
            await settle()  # flow schemas are told whether their levels are there
            revision = api.registry.cache.revision
            await bootstrap(client, [])
            assert api.registry.cache.revision == revision
            answer = await api("GET", "/apis/apiregistration.k8s.io/v1/apiservices/v1.apps")
            spec = answer.doc["spec"]
            assert (spec["group"], spec["version"]) == ("apps", "v1")
            assert (spec["groupPriorityMinimum"], spec["versionPriority"]) == (17800, 15)
            condition = answer.doc["status"]["conditions"][0]
            assert (condition["status"], condition["reason"]) == ("True", "Local")
            counts = [
                len(api.registry.cache.all(kind))
                for kind in (kinds.PRIORITY_CLASS, kinds.PRIORITY_LEVEL, kinds.FLOW_SCHEMA)
            ]
            assert counts == [2, 8, 11]

    asyncio.run(scenario())


@pytest.mark.parametrize("group", ["flowschemas", "prioritylevelconfigurations"])
def test_what_is_mandatory_stays_as_it_is(group: str) -> None:
    async def scenario() -> None:
        async with kube() as api:
            await bootstrap(InProcess(api.registry, loop_user("bootstrap")), [])
            await settle()
            path = f"/apis/flowcontrol.apiserver.k8s.io/v1/{group}/catch-all"
            doc = (await api("GET", path)).doc
            if group == "flowschemas":
                doc["spec"]["matchingPrecedence"] = 9999
            else:
                doc["spec"]["limited"]["nominalConcurrencyShares"] = 6
            answer = await api("PUT", path, doc)
            assert answer.status == 422
            assert "spec of 'catch-all' must equal the fixed value" in answer.doc["message"]

    asyncio.run(scenario())
