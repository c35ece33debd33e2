"""usage.longshore.io/v1 projectusages, by their door: what is shown, to whom, and what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from longshore.base.users import loop_user
from longshore.core.objects import kinds
from longshore.core.objects.kinds import SERVED
from longshore.core.objects.usage import records
from longshore.core.objects.usage.rings import CHUNK_S, DAY_S, Folded, chunk_start
from longshore.core.objects.usage.series import Series
from longshore.core.registry.client import Create
from longshore.core.registry.inprocess import InProcess
from longshore.doors.kubernetes.door import DoorConfig
from tests.doors.rig import ADMIN, TABLE, Kube, kube
from tests.permission.rig import JANE, grant, made, refused, rule

USAGE = "/apis/usage.longshore.io/v1"
SHOP = f"{USAGE}/namespaces/shop/projectusages"
HOUR = [3600, 7200, 3600 * 250, 3600 * 100, 3600 * 1000, 3600 * 512, 3600 * 10]


async def put(k: Kube, project: str, *ages: int) -> None:
    """An hour of use, so many seconds ago each."""
    folded = Folded.nothing()
    chunks: dict[int, Series] = {}
    now = k.clock.now()
    for age in sorted(ages, reverse=True):
        at = int(now) - age
        chunks.setdefault(chunk_start(at), Series(60)).add(at, HOUR)
    docs = [records.of_minutes(project, one) for one in chunks.values()]
    for chunk in chunks.values():
        if chunk_start(chunk.start) + CHUNK_S <= now - DAY_S:
            folded.take(chunk)
    client = InProcess(k.registry, loop_user("test"))
    for doc in [*docs[-1:], records.of_folded(project, folded)]:
        await client.write(Create(kinds.USAGE_RECORD, doc))


@asynccontextmanager
async def door() -> AsyncIterator[Kube]:
    async with kube(DoorConfig(kinds=SERVED)) as k:
        await made(k, "/api/v1/namespaces", {"metadata": {"name": "shop"}})
        yield k


async def test_a_project_is_shown_with_its_buckets() -> None:
    async with door() as k:
        await put(k, "shop", 3600)
        doc = (await k("GET", f"{SHOP}/shop")).doc
        assert doc["kind"] == "ProjectUsage"
        assert doc["usage"] == {"cpu": "250m", "memory": "100Mi", "storage": "10Mi"}
        assert doc["requests"] == {"cpu": "1", "memory": "512Mi"}
        assert (doc["pods"], doc["stepSeconds"]) == (2.0, 60)
        assert doc["totals"]["cpu"] == 3600 * 250
        assert len(doc["series"]["cpu"]) == 1440
        assert doc["series"]["cpu"][-60] == 3600 * 250


async def test_a_list_has_no_buckets_and_tells_of_those_that_are_gone() -> None:
    async with door() as k:
        await put(k, "shop", 3600)
        await put(k, "gone", 40 * DAY_S)
        listing = (await k("GET", f"{USAGE}/projectusages?sinceSeconds={60 * DAY_S}")).doc
        assert [one["metadata"]["name"] for one in listing["items"]] == ["gone", "shop"]
        assert all("series" not in one for one in listing["items"])
        assert all(one["stepSeconds"] == CHUNK_S for one in listing["items"])
        assert [one["totals"]["seconds"] for one in listing["items"]] == [3600, 3600]
        assert len((await k("GET", SHOP)).doc["items"]) == 1


async def test_kubectl_shows_a_table() -> None:
    async with door() as k:
        await put(k, "shop", 3600)
        shown = (await k("GET", SHOP, accept=TABLE)).doc
        titles = [one["name"] for one in shown["columnDefinitions"]]
        (row,) = shown["rows"]
        cells = dict(zip(titles, row["cells"], strict=True))
        assert cells["Name"] == "shop"
        assert (cells["CPU"], cells["CPU Requests"], cells["Pods"]) == ("250m", "1", 2.0)


async def test_who_may_list_pods_may_read_what_they_used() -> None:
    async with door() as k:
        await put(k, "shop", 3600)
        k.user = JANE
        refused(await k("GET", SHOP), 'cannot list resource "pods"')
        await grant(k, "user:jane", rule("list", "pods"), namespace="shop")
        assert (await k("GET", f"{SHOP}/shop")).status == 200
        refused(await k("GET", f"{USAGE}/projectusages"))
        refused(await k("GET", f"{USAGE}/usagerecords"))


async def test_what_was_before_a_namespace_was_made_again_is_not_told_to_its_tenants() -> None:
    async with door() as k:
        await put(k, "shop", 2 * DAY_S)
        await grant(k, "user:jane", rule("list", "pods"), namespace="shop")
        week = f"{SHOP}/shop?sinceSeconds={7 * DAY_S}"
        k.user = JANE
        assert (await k("GET", week)).doc["totals"]["seconds"] == 0
        k.user = ADMIN
        assert (await k("GET", week)).doc["totals"]["seconds"] == 3600


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("sinceSeconds=-5", "sinceSeconds: must be between 1 and 63072000"),
        ("sinceSeconds=x", '"x" is not a whole number'),
        ("sinceSeconds=63072001", "sinceSeconds: must be between"),
        ("stepSeconds=30", "stepSeconds: must be a multiple of 60"),
        ("sinceSeconds=604800&stepSeconds=60", "stepSeconds: must be a multiple of 900"),
        ("labelSelector=a", "labelSelector: projectusages are chosen by namespace alone"),
    ],
)
async def test_a_window_that_makes_no_sense_is_refused(query: str, words: str) -> None:
    async with door() as k:
        await put(k, "shop", 3600)
        answer = await k("GET", f"{SHOP}?{query}")
        assert (answer.status, answer.doc["reason"]) == (400, "BadRequest")
        assert words in answer.doc["message"]


async def test_what_is_not_there_and_what_is_not_done() -> None:
    async with door() as k:
        assert (await k("GET", f"{SHOP}/shop")).status == 404
        assert (await k("GET", f"{SHOP}/other")).status == 404
        assert (await k("POST", SHOP, {})).status == 405
        assert (await k("GET", f"{SHOP}?watch=true")).status == 405
        assert (await k("GET", f"{SHOP}/shop/status")).status == 404
        found = (await k("GET", USAGE)).doc["resources"]
        verbs = {one["name"]: one["verbs"] for one in found}
        assert verbs["projectusages"] == ["get", "list"]
