"""Rules 8 to 12: what a watch begins with, what it tells, and how it ends."""

from __future__ import annotations

import asyncio

import pytest

from longshore.testing.clock import settle
from tests.doors.rig import Kube, config_map, kube

MAPS = "/api/v1/namespaces/default/configmaps"
INITIAL = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan"


async def _labelled(ask: Kube, method: str, value: str) -> None:
    body = config_map("a") | {"metadata": {"name": "a", "labels": {"on": value}}}
    await ask(method, MAPS if method == "POST" else f"{MAPS}/a", body)


@pytest.mark.parametrize("revision", ["", "&resourceVersion=0"])
async def test_without_a_revision_it_begins_with_what_is_there(revision: str) -> None:
    async with kube() as ask:
        await ask("POST", MAPS, config_map("a"))
        watch = await ask.watch(f"{MAPS}?watch=1{revision}")
        assert (await watch.seen())[:2] == ("ADDED", "a")
        await watch.close()


async def test_every_event_carries_the_revision_of_its_change_also_the_last() -> None:
    async with kube() as ask:
        watch = await ask.watch(f"{MAPS}?watch=1&resourceVersion=1")
        await ask("POST", MAPS, config_map("a"))
        await ask("PUT", f"{MAPS}/a", config_map("a", k="v"))
        await ask("DELETE", f"{MAPS}/a")
        seen = [await watch.seen() for _ in range(3)]
        assert seen == [("ADDED", "a", 2), ("MODIFIED", "a", 3), ("DELETED", "a", 4)]
        await watch.close()


async def test_a_change_that_changes_nothing_is_no_event() -> None:
    async with kube() as ask:
        await ask("POST", MAPS, config_map("a"))
        watch = await ask.watch(f"{MAPS}?watch=1&resourceVersion=2")
        await ask("PUT", f"{MAPS}/a", config_map("a"))
        await ask("POST", MAPS, config_map("b"))
        assert await watch.seen() == ("ADDED", "b", 3)
        await watch.close()


async def test_what_begins_to_match_is_added_and_what_stops_is_deleted() -> None:
    async with kube() as ask:
        watch = await ask.watch(f"{MAPS}?watch=1&resourceVersion=1&labelSelector=on=yes")
        for method, value in (("POST", "no"), ("PUT", "yes"), ("PUT", "no")):
            await _labelled(ask, method, value)
        assert (await watch.seen())[0] == "ADDED"
        left = await watch.event()
        assert left["type"] == "DELETED" and left["object"]["metadata"]["labels"] == {"on": "yes"}
        assert left["object"]["metadata"]["resourceVersion"] == "4"
        await watch.close()


async def test_too_old_is_gone_and_never_a_silent_gap() -> None:
    async with kube() as ask:
        for name in "abc":
            await ask("POST", MAPS, config_map(name))
        for shelf in ask.registry.cache._shelves.values():
            shelf.history.forget(ask.registry.cache.revision)
        answer = await ask("GET", f"{MAPS}?watch=1&resourceVersion=2")
        assert (answer.status, answer.doc["reason"]) == (410, "Expired")
        assert answer.doc["message"] == "too old resource version: 2 (4)"


async def test_initial_events_end_with_a_bookmark_of_their_revision() -> None:
    async with kube() as ask:
        await ask("POST", MAPS, config_map("a"))
        watch = await ask.watch(f"{MAPS}?watch=1&{INITIAL}&allowWatchBookmarks=true")
        assert (await watch.seen())[:2] == ("ADDED", "a")
        mark = await watch.event()
        metadata = mark["object"]["metadata"]
        assert mark["type"] == "BOOKMARK" and metadata["resourceVersion"] == "2"
        assert metadata["annotations"] == {"k8s.io/initial-events-end": "true"}
        await ask("POST", MAPS, config_map("b"))
        assert await watch.seen() == ("ADDED", "b", 3)
        await watch.close()


async def test_without_initial_events_it_begins_now() -> None:
    async with kube() as ask:
        await ask("POST", MAPS, config_map("a"))
        query = INITIAL.replace("true", "false")
        watch = await ask.watch(f"{MAPS}?watch=1&{query}")
        await ask("POST", MAPS, config_map("b"))
        assert await watch.seen() == ("ADDED", "b", 3)
        await watch.close()


@pytest.mark.parametrize(("asked", "marks"), [("true", 2), ("false", 0)])
async def test_bookmarks_come_only_if_they_are_asked_for_and_time_ends_it(
    asked: str, marks: int
) -> None:
    async with kube() as ask:
        query = f"resourceVersion=1&timeoutSeconds=90&allowWatchBookmarks={asked}"
        watch = await ask.watch(f"{MAPS}?watch=1&{query}")
        pieces = asyncio.ensure_future(watch.rest())
        await settle()
        await ask.clock.advance(100)
        assert (await pieces).count(b"BOOKMARK") == marks
