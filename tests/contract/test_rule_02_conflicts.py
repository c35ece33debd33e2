"""Rule 2: a write that names a revision is done on that one or not at all; one that names none is
done on whatever there is; a new object may not name one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.doors.rig import Kube, config_map, deployment, kube

MAPS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
STALE = (
    'Operation cannot be fulfilled on configmaps "a": the object has been modified; '
    "please apply your changes to the latest version and try again"
)


async def _old_and_new(ask: Kube) -> tuple[Any, Any]:
    old = (await ask("POST", MAPS, config_map("a", k="old"))).doc
    return old, (await ask("PUT", f"{MAPS}/a", config_map("a", k="new"))).doc


async def test_an_update_of_an_older_state_is_a_conflict() -> None:
    async with kube() as ask:
        old, new = await _old_and_new(ask)
        stale = await ask("PUT", f"{MAPS}/a", old | {"data": {"k": "mine"}})
        assert (stale.status, stale.doc["reason"]) == (409, "Conflict")
        assert stale.doc["message"] == STALE
        assert stale.doc["details"] == {"name": "a", "kind": "configmaps"}
        assert (await ask("GET", f"{MAPS}/a")).doc == new


async def test_also_if_it_would_change_nothing() -> None:
    async with kube() as ask:
        old, new = await _old_and_new(ask)
        assert (await ask("PUT", f"{MAPS}/a", old | {"data": new["data"]})).status == 409


async def test_an_update_of_the_newest_state_is_done() -> None:
    async with kube() as ask:
        _, new = await _old_and_new(ask)
        assert (await ask("PUT", f"{MAPS}/a", new | {"data": {"k": "mine"}})).status == 200


async def test_an_update_that_names_no_revision_is_done() -> None:
    async with kube() as ask:
        await _old_and_new(ask)
        for given in ({}, {"resourceVersion": ""}):
            body = config_map("a", k=str(given)) | {"metadata": {"name": "a", **given}}
            assert (await ask("PUT", f"{MAPS}/a", body)).status == 200


@pytest.mark.parametrize("media", ["merge-patch+json", "strategic-merge-patch+json"])
async def test_a_revision_in_a_patch_is_a_precondition(media: str) -> None:
    async with kube() as ask:
        old, new = await _old_and_new(ask)
        for doc, status in ((old, 409), (new, 200)):
            metadata = {"resourceVersion": doc["metadata"]["resourceVersion"]}
            patch = {"metadata": metadata, "data": {"k": "mine"}}
            answer = await ask("PATCH", f"{MAPS}/a", patch, content_type=f"application/{media}")
            assert answer.status == status


async def test_patches_without_one_are_all_done_however_many_at_once() -> None:
    async with kube() as ask:
        await ask("POST", MAPS, config_map("a"))
        media = "application/merge-patch+json"
        patches = [
            ask("PATCH", f"{MAPS}/a", {"data": {f"k{n}": "v"}}, content_type=media)
            for n in range(30)
        ]
        answers = await asyncio.gather(*patches)
        assert [answer.status for answer in answers] == [200] * 30
        assert len((await ask("GET", f"{MAPS}/a")).doc["data"]) == 30


async def test_of_many_updates_of_one_state_one_is_done() -> None:
    async with kube() as ask:
        made = (await ask("POST", MAPS, config_map("a"))).doc
        updates = [ask("PUT", f"{MAPS}/a", made | {"data": {"k": str(n)}}) for n in range(10)]
        assert sorted([a.status for a in await asyncio.gather(*updates)]) == [200, *[409] * 9]


async def test_subresources_have_the_objects_revision() -> None:
    async with kube() as ask:
        await ask("POST", DEPLOYMENTS, deployment("web", 2))
        scale = (await ask("GET", f"{DEPLOYMENTS}/web/scale")).doc
        status = (await ask("GET", f"{DEPLOYMENTS}/web/status")).doc
        scale["spec"]["replicas"] = 3
        assert (await ask("PUT", f"{DEPLOYMENTS}/web/scale", scale)).status == 200
        assert (await ask("PUT", f"{DEPLOYMENTS}/web/scale", scale)).status == 409
        status["status"] = {"observedGeneration": 1}
        assert (await ask("PUT", f"{DEPLOYMENTS}/web/status", status)).status == 409


async def test_a_delete_may_name_one() -> None:
    async with kube() as ask:
        old, new = await _old_and_new(ask)
        for doc, status in ((old, 409), (new, 200)):
            preconditions = {"resourceVersion": doc["metadata"]["resourceVersion"]}
            answer = await ask("DELETE", f"{MAPS}/a", {"preconditions": preconditions})
            assert answer.status == status


async def test_a_new_object_may_not_name_one() -> None:
    async with kube() as ask:
        body = config_map("a") | {"metadata": {"name": "a", "resourceVersion": "7"}}
        refused = await ask("POST", MAPS, body)
        assert refused.status == 400
        assert (
            refused.doc["message"] == "resourceVersion should not be set on objects to be created"
        )
        assert (await ask("GET", f"{MAPS}/a")).status == 404
