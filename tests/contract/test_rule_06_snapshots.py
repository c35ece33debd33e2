"""Rule 6: a list is of one revision, which it names: a watch from there loses nothing and repeats
nothing. Its items are never null, and of built-in kinds they do not say what they are."""

from __future__ import annotations

import asyncio

import pytest

from longshore.core.objects.kinds import KINDS, Doc, Kind
from tests.contract.addresses import collection
from tests.doors.rig import Kube, config_map, kube

MAPS = "/api/v1/namespaces/default/configmaps"
_LISTED = [kind for kind in KINDS if "list" in kind.verbs]


@pytest.mark.parametrize("kind", _LISTED, ids=lambda kind: f"{kind.api_version}.{kind.name}")
async def test_items_are_never_null(kind: Kind) -> None:
    async with kube() as ask:
        empty = (await ask("GET", f"{collection(kind)}?labelSelector=none=such")).doc
        assert (empty["kind"], empty["apiVersion"]) == (kind.list_name, kind.api_version)
        assert empty["items"] == []
        assert empty["metadata"]["resourceVersion"] == str(ask.registry.cache.revision)


async def test_items_are_sorted_and_do_not_say_what_they_are() -> None:
    async with kube() as ask:
        await ask("POST", MAPS, config_map("b"))
        last = await ask("POST", MAPS, config_map("a"))
        listed = (await ask("GET", MAPS)).doc
        assert [item["metadata"]["name"] for item in listed["items"]] == ["a", "b"]
        assert not {"kind", "apiVersion"} & set(listed["items"][0])
        assert listed["metadata"] == {"resourceVersion": last.doc["metadata"]["resourceVersion"]}


async def test_between_list_and_watch_nothing_is_lost_and_nothing_repeated() -> None:
    async with kube() as ask:
        for name in "abc":
            await ask("POST", MAPS, config_map(name))
        listed = (await ask("GET", MAPS)).doc
        await ask("DELETE", f"{MAPS}/b")
        await ask("PUT", f"{MAPS}/c", config_map("c", k="v"))
        at = listed["metadata"]["resourceVersion"]
        watch = await ask.watch(f"{MAPS}?watch=1&resourceVersion={at}")
        await ask("POST", MAPS, config_map("d"))
        seen = [await watch.seen() for _ in range(3)]
        assert [event[:2] for event in seen] == [
            ("DELETED", "b"),
            ("MODIFIED", "c"),
            ("ADDED", "d"),
        ]
        assert [event[2] for event in seen] == [int(at) + step for step in (1, 2, 3)]
        await watch.close()


async def test_also_while_writes_are_under_way() -> None:
    async with kube() as ask:
        async with asyncio.TaskGroup() as crew:
            writing = crew.create_task(_churn(ask))
            listed = [(await ask("GET", MAPS)).doc for _ in range(5) if await _one_write(ask)]
        assert writing.result()
        final = (await ask("GET", MAPS)).doc
        for doc in listed:
            assert await _replayed(ask, doc, final) == _state(final)


async def _one_write(ask: Kube) -> bool:
    return (await ask("POST", MAPS, {"metadata": {"generateName": "x-"}})).status == 201


async def _churn(ask: Kube) -> bool:
    for number in range(40):
        name = "abcd"[number % 4]
        if (await ask("DELETE", f"{MAPS}/{name}")).status == 404:
            await ask("POST", MAPS, config_map(name, at=str(number)))
    return True


def _state(listed: Doc) -> dict[str, str]:
    found = [item["metadata"] for item in listed["items"]]
    return {one["name"]: one["resourceVersion"] for one in found}


async def _replayed(ask: Kube, listed: Doc, final: Doc) -> dict[str, str]:
    """The list with all that a watch tells up to the final one."""
    state, at = _state(listed), int(listed["metadata"]["resourceVersion"])
    end = int(final["metadata"]["resourceVersion"])
    watch = await ask.watch(f"{MAPS}?watch=1&resourceVersion={at}")
    while at < end:
        kind, name, revision = await watch.seen()
        assert revision == at + 1
        assert (kind == "ADDED") == (name not in state)
        at = revision
        if kind == "DELETED":
            del state[name]
        else:
            state[name] = str(revision)
    await watch.close()
    return state
