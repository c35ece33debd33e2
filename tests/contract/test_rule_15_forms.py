"""Rules 15 and 16: every kind comes as Table and as PartialObjectMetadata, listed, watched and
answered."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.core.objects.kinds import KINDS, Kind
from tests.doors.rig import JSON, config_map, kube

MAPS = "/api/v1/namespaces/default/configmaps"
TABLE = f"{JSON};as=Table;v=v1;g=meta.k8s.io"
PARTIAL = f"{JSON};as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
PARTIAL_LIST = f"{JSON};as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
_LISTED = [kind for kind in KINDS if "list" in kind.verbs and "watch" in kind.verbs]


def _collection(kind: Kind) -> str:
    root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.version}"
    return f"{root}/{kind.plural}"


@pytest.mark.parametrize("kind", _LISTED, ids=lambda kind: f"{kind.group}.{kind.name}")
async def test_every_collection_comes_in_every_form(kind: Kind) -> None:
    async with kube() as ask:
        table = (await ask("GET", _collection(kind), accept=TABLE)).doc
        assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
        assert table["columnDefinitions"][0]["name"] and isinstance(table["rows"], list)
        partial = (await ask("GET", _collection(kind), accept=PARTIAL_LIST)).doc
        assert partial["kind"] == "PartialObjectMetadataList" and isinstance(partial["items"], list)


@pytest.mark.parametrize("include", ["Metadata", "Object", "None", ""])
async def test_a_row_carries_as_much_as_is_asked(include: str) -> None:
    async with kube() as ask:
        await ask("POST", MAPS, config_map("a", k="v"))
        rows = (await ask("GET", f"{MAPS}?includeObject={include}", accept=TABLE)).doc["rows"]
        shown: Any = rows[0].get("object")
        assert (shown and shown["kind"]) == {
            "Metadata": "PartialObjectMetadata", "Object": "ConfigMap", "None": None,
            "": "PartialObjectMetadata",
        }[include]  # fmt: skip


async def test_only_the_first_table_of_a_watch_names_the_columns() -> None:
    async with kube() as ask:
        await ask("POST", MAPS, config_map("a"))
        watch = await ask.watch(f"{MAPS}?watch=1", accept=TABLE)
        first = (await watch.event())["object"]
        await ask("POST", MAPS, config_map("b"))
        second = (await watch.event())["object"]
        assert [c["name"] for c in first["columnDefinitions"]] == ["Name", "Data", "Age"]
        assert second["columnDefinitions"] == [] and second["rows"][0]["cells"][0] == "b"
        other = await ask.watch(f"{MAPS}?watch=1", accept=TABLE)
        assert (await other.event())["object"]["columnDefinitions"]
        await watch.close()
        await other.close()


async def test_writes_are_answered_in_the_form_that_is_asked() -> None:
    async with kube() as ask:
        made = await ask("POST", MAPS, config_map("a"), accept=PARTIAL)
        assert (made.status, made.doc["kind"]) == (201, "PartialObjectMetadata")
        put = await ask("PUT", f"{MAPS}/a", config_map("a", k="v"), accept=TABLE)
        assert put.doc["kind"] == "Table" and str(put.doc["rows"][0]["cells"][1]) == "1"
        merge = "application/merge-patch+json"
        body = {"data": {"k": "w"}}
        patched = await ask("PATCH", f"{MAPS}/a", body, accept=PARTIAL, content_type=merge)
        assert patched.doc["kind"] == "PartialObjectMetadata" and "data" not in patched.doc


async def test_a_watch_of_metadata_alone() -> None:
    async with kube() as ask:
        await ask("POST", MAPS, config_map("a", k="v"))
        watch = await ask.watch(f"{MAPS}?watch=1", accept=PARTIAL)
        seen = (await watch.event())["object"]
        assert seen["kind"] == "PartialObjectMetadata" and "data" not in seen
        await watch.close()
