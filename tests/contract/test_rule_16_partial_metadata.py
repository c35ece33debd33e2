"""Rule 16: PartialObjectMetadata of every resource: got, listed and watched."""

from __future__ import annotations

import pytest

from longshore.core.objects.kinds import KINDS, Doc, Kind
from tests.doors.rig import JSON, TABLE, config_map, deployment, kube
from tests.objects.valid import valid

MAPS = "/api/v1/namespaces/default/configmaps"
WEBS = "/apis/apps/v1/namespaces/default/deployments"
_KEPT = [
    kind for kind in KINDS
    if "watch" in kind.verbs and "create" in kind.verbs and not kind.unserved
]  # fmt: skip


def accept(form: str, version: str = "v1") -> dict[str, str]:
    return {"accept": f"{JSON};as={form};v={version};g=meta.k8s.io"}


ONE, LIST = accept("PartialObjectMetadata"), accept("PartialObjectMetadataList")


def _path(kind: Kind) -> str:
    root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.version}"
    return (
        f"{root}/namespaces/default/{kind.plural}" if kind.namespaced else f"{root}/{kind.plural}"
    )


def _shown(doc: Doc) -> tuple[str, str, set[str]]:
    return doc["apiVersion"], doc["kind"], set(doc)


_PARTIAL = "meta.k8s.io/v1", "PartialObjectMetadata", {"apiVersion", "kind", "metadata"}


@pytest.mark.parametrize("kind", _KEPT, ids=lambda kind: f"{kind.name}.{kind.api_version}")
async def test_objects_of_every_kind_come_as_their_metadata(kind: Kind) -> None:
    async with kube() as ask:
        # What is kept in one version is shown in the others.
        made = await ask("POST", _path(kind.kept_as), valid(kind.kept_as))
        assert made.status == 201, made.doc
        name = made.doc["metadata"]["name"]
        got = (await ask("GET", f"{_path(kind)}/{name}", **ONE)).doc
        assert _shown(got) == _PARTIAL
        metadata = got["metadata"]
        assert metadata["uid"] == made.doc["metadata"]["uid"]
        chosen = f"fieldSelector=metadata.name={name}"
        listed = (await ask("GET", f"{_path(kind)}?{chosen}", **LIST)).doc
        assert _shown(listed)[:2] == ("meta.k8s.io/v1", "PartialObjectMetadataList")
        assert [one["metadata"] for one in listed["items"]] == [metadata]
        watch = await ask.watch(f"{_path(kind)}?watch=1&{chosen}", **ONE)
        event = await watch.event()
        assert (event["type"], _shown(event["object"])) == ("ADDED", _PARTIAL)
        assert event["object"]["metadata"] == metadata
        await watch.close()


async def test_a_watch_of_metadata_tells_changes_and_deletions() -> None:
    async with kube() as ask:
        watch = await ask.watch(f"{MAPS}?watch=1", **ONE)
        await ask("POST", MAPS, config_map("a"))
        await ask("PUT", f"{MAPS}/a", config_map("a", k="v"))
        await ask("DELETE", f"{MAPS}/a")
        events = [await watch.event() for _ in range(3)]
        assert [one["type"] for one in events] == ["ADDED", "MODIFIED", "DELETED"]
        assert all(_shown(one["object"]) == _PARTIAL for one in events)
        await watch.close()


async def test_bookmarks_come_as_metadata_too() -> None:
    async with kube() as ask:
        query = (
            "watch=1&allowWatchBookmarks=1&sendInitialEvents=1&resourceVersionMatch=NotOlderThan"
        )
        watch = await ask.watch(f"{MAPS}?{query}", **ONE)
        event = await watch.event()
        assert (event["type"], event["object"]["kind"]) == ("BOOKMARK", "PartialObjectMetadata")
        await watch.close()


@pytest.mark.parametrize("form", [accept("Sketch"), accept("PartialObjectMetadata", "v2")])
async def test_a_form_that_is_not_known_is_not_acceptable(form: dict[str, str]) -> None:
    async with kube() as ask:
        await ask("POST", MAPS, config_map("a"))
        answer = await ask("GET", f"{MAPS}/a", **form)
        assert (answer.status, answer.doc["reason"]) == (406, "NotAcceptable")


async def test_subresources_come_as_metadata() -> None:
    async with kube() as ask:
        await ask("POST", WEBS, deployment("web"))
        for below in ("status", "scale"):
            got = (await ask("GET", f"{WEBS}/web/{below}", **ONE)).doc
            assert _shown(got) == _PARTIAL, below
            assert got["metadata"]["name"] == "web"


async def test_a_scale_comes_as_a_table() -> None:
    async with kube() as ask:
        await ask("POST", WEBS, deployment("web", 3))
        table = (await ask("GET", f"{WEBS}/web/scale", accept=TABLE)).doc
        names = [column["name"] for column in table["columnDefinitions"]]
        assert names == ["Name", "Desired", "Available", "Age"]
        assert table["rows"][0]["cells"][:3] == ["web", 3, 0]


async def test_a_delete_is_answered_with_its_status_all_the_same() -> None:
    async with kube() as ask:
        for form in (ONE, {"accept": TABLE}):
            await ask("POST", MAPS, config_map("a"))
            gone = await ask("DELETE", f"{MAPS}/a", **form)
            assert (gone.doc["kind"], gone.doc["status"]) == ("Status", "Success")
