"""Rule 1: one counter for everything that is stored, plain decimals; a write that changes nothing
neither moves it nor is told of (KEP-5504 lets clients compare revisions as numbers)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.doors.rig import Kube, config_map, deployment, kube, pod

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
MERGE, STRATEGIC = "application/merge-patch+json", "application/strategic-merge-patch+json"
JSON_PATCH, APPLY = "application/json-patch+json", "application/apply-patch+yaml"


def revision(doc: Any) -> str:
    return str(doc["metadata"]["resourceVersion"])


async def test_every_write_of_any_kind_takes_the_next_number() -> None:
    async with kube() as ask:
        seen = [revision((await ask("POST", MAPS, config_map("a"))).doc)]
        seen.append(revision((await ask("POST", PODS, pod("p"))).doc))
        seen.append(revision((await ask("PUT", f"{MAPS}/a", config_map("a", k="v"))).doc))
        await ask("DELETE", f"{MAPS}/a")
        seen.append(revision((await ask("GET", MAPS)).doc))
        assert all(one.isdecimal() and str(int(one)) == one for one in seen)
        assert [int(one) for one in seen] == [int(seen[0]) + step for step in range(4)]


async def test_lists_of_different_kinds_have_the_same_revision() -> None:
    async with kube() as ask:
        await ask("POST", MAPS, config_map("a"))
        assert revision((await ask("GET", MAPS)).doc) == revision((await ask("GET", PODS)).doc)


async def _nothing_happens(ask: Kube, method: str, path: str, body: Any, media: str) -> None:
    before, told = await ask("GET", path.partition("?")[0]), ask.registry.cache.revision
    answer = await ask(method, path, body, content_type=media)
    assert (answer.status, revision(answer.doc)) == (200, revision(before.doc))
    assert ask.registry.cache.revision == told
    assert (await ask("GET", path.partition("?")[0])).body == before.body


@pytest.mark.parametrize(
    ("body", "media"),
    [
        ({"data": {"k": "v"}}, MERGE),
        ({"data": {"gone": None}}, MERGE),
        ({}, STRATEGIC),
        ([{"op": "test", "path": "/data/k", "value": "v"}], JSON_PATCH),
        ([{"op": "replace", "path": "/data/k", "value": "v"}], JSON_PATCH),
    ],
)
async def test_a_patch_that_changes_nothing_is_no_write(body: Any, media: str) -> None:
    async with kube() as ask:
        await ask("POST", MAPS, config_map("a", k="v"))
        await _nothing_happens(ask, "PATCH", f"{MAPS}/a", body, media)


async def test_an_update_to_what_is_there_is_no_write() -> None:
    async with kube() as ask:
        for path, doc in ((MAPS, config_map("a", k="v")), (DEPLOYMENTS, deployment("web"))):
            made = await ask("POST", path, doc)
            name = made.doc["metadata"]["name"]
            await _nothing_happens(ask, "PUT", f"{path}/{name}", made.doc, "application/json")
            bare = {**doc, "metadata": {"name": name}}
            await _nothing_happens(ask, "PUT", f"{path}/{name}", bare, "application/json")


async def test_an_apply_of_what_was_applied_is_no_write() -> None:
    async with kube() as ask:
        path = f"{MAPS}/a?fieldManager=me"
        await ask("PATCH", path, config_map("a", k="v"), content_type=APPLY)
        await _nothing_happens(ask, "PATCH", path, config_map("a", k="v"), APPLY)


async def test_a_status_that_is_the_same_is_no_write() -> None:
    async with kube() as ask:
        await ask("POST", PODS, pod("p"))
        await ask("PATCH", f"{PODS}/p/status", {"status": {"message": "x"}}, content_type=MERGE)
        body = {"status": {"message": "x"}}
        await _nothing_happens(ask, "PATCH", f"{PODS}/p/status", body, MERGE)


async def test_what_is_no_write_is_no_event() -> None:
    async with kube() as ask:
        made = (await ask("POST", MAPS, config_map("a"))).doc
        watch = await ask.watch(f"{MAPS}?watch=1&resourceVersion={revision(made)}")
        await ask("PUT", f"{MAPS}/a", made)
        await ask("PATCH", f"{MAPS}/a", {}, content_type=MERGE)
        await ask("POST", f"{MAPS}?dryRun=All", config_map("dry"))
        await ask("POST", MAPS, config_map("b"))
        assert await watch.seen() == ("ADDED", "b", int(revision(made)) + 1)
        await watch.close()
