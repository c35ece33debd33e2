"""Rules 6 and 7: a list is one snapshot, however many pages it comes in."""

from __future__ import annotations

import pytest

from tests.doors.rig import Kube, config_map, kube

MAPS = "/api/v1/namespaces/default/configmaps"


async def _five(ask: Kube) -> None:
    for name in "abcde":
        await ask("POST", MAPS, config_map(name))


async def test_a_watch_from_a_lists_revision_misses_and_repeats_nothing() -> None:
    async with kube() as ask:
        await ask("POST", MAPS, config_map("a"))
        revision = (await ask("GET", MAPS)).doc["metadata"]["resourceVersion"]
        watch = await ask.watch(f"{MAPS}?watch=1&resourceVersion={revision}")
        await ask("POST", MAPS, config_map("b"))
        assert (await watch.seen())[:2] == ("ADDED", "b")
        await watch.close()


async def test_an_empty_list_has_items() -> None:
    async with kube() as ask:
        assert (await ask("GET", MAPS)).doc["items"] == []


async def test_pages_are_of_the_first_ones_revision_whatever_happens_meanwhile() -> None:
    async with kube() as ask:
        await _five(ask)
        first = (await ask("GET", f"{MAPS}?limit=2")).doc
        await ask("DELETE", f"{MAPS}/d")
        await ask("POST", MAPS, config_map("z"))
        await ask("PUT", f"{MAPS}/e", config_map("e", k="new"))
        token = first["metadata"]["continue"]
        assert first["metadata"]["remainingItemCount"] == 3
        rest = (await ask("GET", f"{MAPS}?limit=9&continue={token}")).doc
        assert [item["metadata"]["name"] for item in rest["items"]] == ["c", "d", "e"]
        assert "data" not in rest["items"][2] or rest["items"][2]["data"] == {}
        assert rest["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
        assert "continue" not in rest["metadata"]


async def test_a_selector_hides_how_many_remain() -> None:
    async with kube() as ask:
        await _five(ask)
        page = (await ask("GET", f"{MAPS}?limit=2&labelSelector=!x")).doc
        assert page["metadata"]["continue"] and "remainingItemCount" not in page["metadata"]


async def test_an_expired_token_comes_with_one_that_goes_on_in_the_present() -> None:
    async with kube() as ask:
        await _five(ask)
        token = (await ask("GET", f"{MAPS}?limit=2")).doc["metadata"]["continue"]
        await ask("DELETE", f"{MAPS}/d")
        shelf = next(
            s for s in ask.registry.cache._shelves.values() if s.kind.plural == "configmaps"
        )
        shelf.history.forget(ask.registry.cache.revision)
        expired = await ask("GET", f"{MAPS}?limit=2&continue={token}")
        assert (expired.status, expired.doc["reason"]) == (410, "Expired")
        rest = await ask("GET", f"{MAPS}?continue={expired.doc['metadata']['continue']}")
        assert [item["metadata"]["name"] for item in rest.doc["items"]] == ["c", "e"]


@pytest.mark.parametrize(
    "token", ["x", "e30=", "W10=", "eyJydiI6ICJ4In0=", "é", "eyJydiI6MSwic3RhcnQiOjV9"]
)
async def test_a_token_of_somebody_elses_is_a_bad_request(token: str) -> None:
    async with kube() as ask:
        answer = await ask("GET", f"{MAPS}?continue={token}")
        assert (answer.status, answer.doc["reason"]) == (400, "BadRequest")


async def test_a_token_goes_with_no_revision() -> None:
    async with kube() as ask:
        await _five(ask)
        token = (await ask("GET", f"{MAPS}?limit=2")).doc["metadata"]["continue"]
        answer = await ask("GET", f"{MAPS}?continue={token}&resourceVersion=3")
        assert answer.status == 400
        assert (
            answer.doc["message"]
            == "specifying resource version is not allowed when using continue"
        )
        assert (await ask("GET", f"{MAPS}?continue={token}&resourceVersion=0")).status == 200
