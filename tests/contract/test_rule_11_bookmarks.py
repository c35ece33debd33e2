"""Rule 11: bookmarks come if they are allowed, about every minute and before the end; they carry a
revision and no object. A watch ends with its time, by default after half an hour to an hour."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from longshore.testing.clock import settle
from tests.doors.rig import JSON, TABLE, Kube, config_map, kube, pod

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
DEPLOYMENTS = "/apis/apps/v1/deployments"
PARTIAL = f"{JSON};as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
ALLOWED = "allowWatchBookmarks=true"


async def _told(ask: Kube, path: str, seconds: float) -> list[bytes]:
    """All that a watch tells until it ends, within so many seconds."""
    watch = await ask.watch(path)
    pieces = asyncio.ensure_future(watch.rest())
    await settle()
    await ask.clock.advance(seconds)
    assert pieces.done()
    await watch.close()
    return (await pieces).splitlines()


@pytest.mark.parametrize(
    ("query", "marks"),
    [
        (f"timeoutSeconds=90&{ALLOWED}", 2),
        (f"timeoutSeconds=300&{ALLOWED}", 5),
        (f"timeoutSeconds=30&{ALLOWED}", 1),
        ("timeoutSeconds=90&allowWatchBookmarks=false", 0),
        ("timeoutSeconds=90", 0),
    ],
)
async def test_how_many_come(query: str, marks: int) -> None:
    async with kube() as ask:
        told = await _told(ask, f"{MAPS}?watch=1&resourceVersion=1&{query}", 302)
        assert [orjson.loads(line)["type"] for line in told] == ["BOOKMARK"] * marks


@pytest.mark.parametrize(
    ("path", "kind", "version"), [(MAPS, "ConfigMap", "v1"), (DEPLOYMENTS, "Deployment", "apps/v1")]
)
async def test_they_carry_nothing_but_a_revision(path: str, kind: str, version: str) -> None:
    async with kube() as ask:
        (line,) = await _told(ask, f"{path}?watch=1&timeoutSeconds=9&{ALLOWED}", 10)
        assert orjson.loads(line) == {
            "type": "BOOKMARK",
            "object": {"kind": kind, "apiVersion": version, "metadata": {"resourceVersion": "1"}},
        }


async def test_they_carry_it_in_every_form() -> None:
    async with kube() as ask:
        for accept, kind in ((PARTIAL, "PartialObjectMetadata"), (TABLE, "Table")):
            path = f"{MAPS}?watch=1&timeoutSeconds=9&{ALLOWED}"
            watch = await ask.watch(path, accept=accept)
            mark = asyncio.ensure_future(watch.event())
            await ask.clock.advance(10)
            shown = (await mark)["object"]
            assert (shown["kind"], shown["metadata"]["resourceVersion"]) == (kind, "1")
            await watch.close()


async def test_the_revision_goes_on_with_other_kinds() -> None:
    """So that a watch of a quiet kind can resume after the history has moved on."""
    async with kube() as ask:
        watch = await ask.watch(f"{MAPS}?watch=1&resourceVersion=1&{ALLOWED}")
        await ask("POST", PODS, pod("a"))
        mark = asyncio.ensure_future(watch.event())
        await ask.clock.advance(61)
        newest = (await ask("GET", PODS)).doc["metadata"]["resourceVersion"]
        assert (await mark)["object"]["metadata"]["resourceVersion"] == newest == "2"
        resumed = await ask.watch(f"{MAPS}?watch=1&resourceVersion={newest}")
        await ask("POST", MAPS, config_map("b"))
        assert await resumed.seen() == ("ADDED", "b", 3)
        await watch.close()
        await resumed.close()


async def test_none_comes_before_what_it_claims_was_told() -> None:
    async with kube() as ask:
        watch = await ask.watch(f"{MAPS}?watch=1&resourceVersion=1&{ALLOWED}")
        await ask.clock.advance(58)
        for name in "abc":
            await ask("POST", MAPS, config_map(name))
        await ask.clock.advance(5)
        told = [await watch.seen() for _ in range(4)]
        assert told == [
            *(("ADDED", name, 2 + at) for at, name in enumerate("abc")),
            ("BOOKMARK", "", 4),
        ]
        await watch.close()


@pytest.mark.parametrize("query", ["", "&timeoutSeconds=0", "&timeoutSeconds="])
async def test_by_default_it_ends_between_half_an_hour_and_an_hour(query: str) -> None:
    async with kube() as ask:
        watches = [await ask.watch(f"{MAPS}?watch=1&resourceVersion=1{query}") for _ in range(8)]
        ends = [asyncio.ensure_future(watch.rest()) for watch in watches]
        due = sorted(watch._ends_at for watch in ask.door._api.watches.open)
        assert due[0] >= 1800 and due[-1] <= 3600 and len(set(due)) == 8
        ask.clock._now += 1799
        await ask.clock.advance(1)
        assert not any(end.done() for end in ends)
        ask.clock._now += 1800
        await ask.clock.advance(2)
        assert await asyncio.gather(*ends) == [b""] * 8
        for watch in watches:
            await watch.close()


@pytest.mark.parametrize("seconds", ["x", "1.5", "9" * 30])
async def test_a_time_that_is_none_is_refused(seconds: str) -> None:
    async with kube() as ask:
        answer = await ask("GET", f"{MAPS}?watch=1&timeoutSeconds={seconds}")
        assert (answer.status, answer.doc["reason"]) == (400, "BadRequest")


async def test_a_time_below_nothing_is_over_at_once() -> None:
    async with kube() as ask:
        assert await _told(ask, f"{MAPS}?watch=1&resourceVersion=1&timeoutSeconds=-5", 2) == []
