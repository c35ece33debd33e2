"""Rule 12: sendInitialEvents begins a watch with what is there, and says where that ends; it goes
with resourceVersionMatch=NotOlderThan alone (KEP-3157)."""

from __future__ import annotations

import pytest

from tests.doors.rig import TABLE, Watcher, config_map, kube

MAPS = "/api/v1/namespaces/default/configmaps"
INITIAL = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
ALLOWED = "allowWatchBookmarks=true"
END = {"k8s.io/initial-events-end": "true"}
_MATCH = "resourceVersionMatch"


async def _mark(watch: Watcher, revision: str) -> None:
    event = await watch.event()
    metadata = {"resourceVersion": revision, "annotations": END}
    assert event == {
        "type": "BOOKMARK",
        "object": {"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata},
    }


@pytest.mark.parametrize("revision", ["", "&resourceVersion=0", "&resourceVersion=2"])
async def test_they_end_with_a_bookmark_that_says_so(revision: str) -> None:
    async with kube() as ask:
        for name in "ab":
            await ask("POST", MAPS, config_map(name))
        watch = await ask.watch(f"{MAPS}?{INITIAL}&{ALLOWED}{revision}")
        assert [await watch.seen() for _ in range(2)] == [("ADDED", "a", 2), ("ADDED", "b", 3)]
        await _mark(watch, "3")
        await ask("POST", MAPS, config_map("c"))
        assert await watch.seen() == ("ADDED", "c", 4)
        await watch.close()


async def test_where_nothing_is_there_the_bookmark_comes_at_once() -> None:
    async with kube() as ask:
        watch = await ask.watch(f"{MAPS}?{INITIAL}&{ALLOWED}")
        await _mark(watch, "1")
        await watch.close()


async def test_a_selector_chooses_among_them() -> None:
    async with kube() as ask:
        for name in "ab":
            await ask("POST", MAPS, config_map(name))
        watch = await ask.watch(f"{MAPS}?{INITIAL}&{ALLOWED}&fieldSelector=metadata.name=b")
        assert await watch.seen() == ("ADDED", "b", 3)
        await _mark(watch, "3")
        await watch.close()


async def test_as_tables_the_bookmark_carries_its_mark_in_the_row() -> None:
    async with kube() as ask:
        await ask("POST", MAPS, config_map("a"))
        watch = await ask.watch(f"{MAPS}?{INITIAL}&{ALLOWED}", accept=TABLE)
        assert (await watch.event())["object"]["rows"][0]["cells"][0] == "a"
        event = await watch.event()
        assert (event["type"], event["object"]["kind"]) == ("BOOKMARK", "Table")
        assert event["object"]["rows"][0]["object"]["metadata"]["annotations"] == END
        await watch.close()


async def test_who_allows_no_bookmarks_gets_none() -> None:
    async with kube() as ask:
        await ask("POST", MAPS, config_map("a"))
        watch = await ask.watch(f"{MAPS}?{INITIAL}")
        assert await watch.seen() == ("ADDED", "a", 2)
        await ask("POST", MAPS, config_map("b"))
        assert await watch.seen() == ("ADDED", "b", 3)
        await watch.close()


@pytest.mark.parametrize("revision", ["", "&resourceVersion=0"])
async def test_without_them_it_begins_now(revision: str) -> None:
    async with kube() as ask:
        await ask("POST", MAPS, config_map("a"))
        query = INITIAL.replace("true", "false")
        watch = await ask.watch(f"{MAPS}?{query}&{ALLOWED}{revision}")
        await ask("POST", MAPS, config_map("b"))
        assert await watch.seen() == ("ADDED", "b", 3)
        await watch.close()


async def test_without_them_a_revision_is_where_it_begins() -> None:
    async with kube() as ask:
        for name in "ab":
            await ask("POST", MAPS, config_map(name))
        watch = await ask.watch(f"{MAPS}?{INITIAL.replace('true', 'false')}&resourceVersion=2")
        assert await watch.seen() == ("ADDED", "b", 3)
        await watch.close()


@pytest.mark.parametrize(
    ("query", "messages"),
    [
        (
            "watch=1&sendInitialEvents=true",
            [f"Forbidden: sendInitialEvents requires setting {_MATCH} to NotOlderThan"],
        ),
        (
            f"watch=1&sendInitialEvents=false&{_MATCH}=Exact&resourceVersion=1",
            [
                f"Forbidden: sendInitialEvents requires setting {_MATCH} to NotOlderThan",
                'Unsupported value: "Exact": supported values: "NotOlderThan"',
            ],
        ),
        (
            f"watch=1&{_MATCH}=NotOlderThan",
            [f"Forbidden: {_MATCH} is forbidden for watch unless sendInitialEvents is provided"],
        ),
        (
            f"{INITIAL}&continue=x",
            [f"Forbidden: {_MATCH} is forbidden when continue is provided"],
        ),
    ],
)
async def test_what_does_not_go_with_them_is_invalid(query: str, messages: list[str]) -> None:
    async with kube() as ask:
        answer = await ask("GET", f"{MAPS}?{query}")
        assert (answer.status, answer.doc["reason"]) == (422, "Invalid")
        causes = answer.doc["details"]["causes"]
        assert [cause["message"] for cause in causes] == messages
        assert {cause["field"] for cause in causes} == {_MATCH}


async def test_a_list_has_none() -> None:
    async with kube() as ask:
        for value in ("true", "false"):
            answer = await ask("GET", f"{MAPS}?sendInitialEvents={value}")
            assert (answer.status, answer.doc["reason"]) == (422, "Invalid")
            (cause,) = answer.doc["details"]["causes"]
            assert cause["message"] == "Forbidden: sendInitialEvents is forbidden for list"
