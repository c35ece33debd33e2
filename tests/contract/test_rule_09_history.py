"""Rule 9: a watch from too long ago is told so, and so is one that falls behind: never a silent gap.
Five minutes are kept, of every kind."""

from __future__ import annotations

import asyncio

import pytest

from longshore.base.limits import WATCH_HISTORY_MIN, WATCH_HISTORY_S
from longshore.core.objects import kinds
from longshore.core.watch.feeds import Audience
from longshore.testing.clock import settle
from tests.doors.rig import Kube, Watcher, config_map, kube, pod

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"


async def _change(ask: Kube, times: int) -> None:
    """So many changes of one object, a whole batch at once."""
    for name in ("a", "b"):
        await ask("PUT", f"{MAPS}/{name}", config_map(name, at=str(ask.registry.cache.revision)))
    for _ in range(times):
        body = config_map("a", at=str(ask.registry.cache.revision))
        await ask("PUT", f"{MAPS}/a", body)


async def test_what_is_younger_than_five_minutes_is_there_and_what_is_older_is_gone() -> None:
    async with kube() as ask:
        for name in ("a", "b"):
            await ask("POST", MAPS, config_map(name))
        old = ask.registry.cache.revision
        await _change(ask, WATCH_HISTORY_MIN // 2)
        await ask.clock.advance(2)
        young = ask.registry.cache.revision
        await _change(ask, WATCH_HISTORY_MIN)
        await ask.clock.advance(WATCH_HISTORY_S - 10)
        await _change(ask, 1)
        watch = await ask.watch(f"{MAPS}?watch=1&resourceVersion={old}")
        assert (await watch.seen())[2] == old + 1
        await watch.close()
        await ask.clock.advance(9)
        await _change(ask, 1)
        watch = await ask.watch(f"{MAPS}?watch=1&resourceVersion={young}")
        assert (await watch.seen())[2] == young + 1
        await watch.close()
        answer = await ask("GET", f"{MAPS}?watch=1&resourceVersion={old}")
        assert (answer.status, answer.doc["reason"]) == (410, "Expired")
        assert answer.doc["message"].startswith(f"too old resource version: {old} (")


async def test_a_watch_of_a_quiet_kind_resumes_however_late() -> None:
    async with kube() as ask:
        await ask("POST", PODS, pod("p"))
        for name in ("a", "b"):
            await ask("POST", MAPS, config_map(name))
        for _ in range(5):
            await _change(ask, 1)
            await ask.clock.advance(WATCH_HISTORY_S)
        watch = await ask.watch(f"{PODS}?watch=1&resourceVersion=1")
        assert await watch.seen() == ("ADDED", "p", 2)
        await watch.close()


async def test_pages_of_a_list_expire_after_five_minutes_whatever_the_kind() -> None:
    """What the conformance test "continue listing from the last key if the original version has
    been compacted away" waits for, on a kind that nobody changes meanwhile."""
    async with kube() as ask:
        for name in "abc":
            await ask("POST", MAPS, config_map(name))
        token = (await ask("GET", f"{MAPS}?limit=1")).doc["metadata"]["continue"]
        page = f"{MAPS}?limit=1&continue={token}"
        await ask("POST", PODS, pod("p"))
        await ask.clock.advance(WATCH_HISTORY_S - 1)
        await ask("POST", PODS, pod("q"))
        assert (await ask("GET", page)).status == 200
        await ask.clock.advance(2)
        await ask("POST", PODS, pod("r"))
        expired = await ask("GET", page)
        assert (expired.status, expired.doc["reason"]) == (410, "Expired")
        assert expired.doc["message"].startswith("The provided continue parameter is too old")
        onward = expired.doc["metadata"]["continue"]
        rest = (await ask("GET", f"{MAPS}?limit=1&continue={onward}")).doc
        assert [item["metadata"]["name"] for item in rest["items"]] == ["b"]
        assert rest["metadata"]["remainingItemCount"] == 1
        exact = await ask("GET", f"{MAPS}?resourceVersion=3&resourceVersionMatch=Exact")
        assert exact.doc["message"] == "The resourceVersion for the provided list is too old."
        assert "continue" not in exact.doc["metadata"]


# --- falling behind ---


def _audiences(ask: Kube) -> list[Audience]:
    return list(ask.registry.cache.shelf(kinds.CONFIG_MAP).hub._all)


async def _expired(watch: Watcher) -> None:
    event = await watch.event()
    assert event["type"] == "ERROR"
    assert (event["object"]["kind"], event["object"]["code"]) == ("Status", 410)
    assert event["object"]["reason"] == "Expired"
    assert await watch.ended()
    await watch.close()


async def test_a_watcher_that_falls_behind_hears_so_and_is_let_go() -> None:
    async with kube() as ask:
        watch = await ask.watch(f"{MAPS}?watch=1&resourceVersion=1")
        (audience,) = _audiences(ask)
        audience._room = 2
        for name in "abc":
            await ask("POST", MAPS, config_map(name))
        await _expired(watch)
        assert not _audiences(ask)


@pytest.mark.parametrize(
    "initial", ["", "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"]
)
async def test_no_bookmark_hides_what_it_missed(initial: str) -> None:
    """A bookmark says that all up to it was told: after a loss there is none."""
    async with kube() as ask:
        query = f"watch=1&resourceVersion=1&allowWatchBookmarks=true{initial}"
        watch = await ask.watch(f"{MAPS}?{query}")
        (audience,) = _audiences(ask)
        audience._room = 1
        for name in "ab":
            await ask("POST", MAPS, config_map(name))
        await ask.clock.advance(70)
        await _expired(watch)


async def test_nor_while_it_waits_for_company() -> None:
    async with kube() as ask:
        others = [await ask.watch(f"{PODS}?watch=1&resourceVersion=1") for _ in range(100)]
        query = "watch=1&resourceVersion=1&allowWatchBookmarks=true"
        watch = await ask.watch(f"{MAPS}?{query}")
        (audience,) = _audiences(ask)
        audience._room = 1
        await ask.clock.advance(59.995)
        hearing = asyncio.ensure_future(watch.event())
        await settle()
        await ask("POST", MAPS, config_map("a"))
        await settle()
        for name in "bcd":
            await ask("POST", MAPS, config_map(name))
        await ask.clock.advance(1)
        first = await hearing
        assert first["type"] == "ERROR", first
        for one in (watch, *others):
            await one.close()
