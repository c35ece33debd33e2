"""Rule 38: OpenAPI documents are cached by their hashes and ETags, and say what they are about."""

from __future__ import annotations

import pytest

from longshore.core.objects.kinds import KINDS
from tests.doors.rig import kube

DEPLOYMENT = "io.k8s.api.apps.v1.Deployment"


async def test_a_hash_is_for_ever() -> None:
    async with kube() as ask:
        index = (await ask("GET", "/openapi/v3")).doc["paths"]
        url = index["apis/apps/v1"]["serverRelativeURL"]
        assert url.startswith("/openapi/v3/apis/apps/v1?hash=")
        answer = await ask("GET", url)
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "public, immutable"
        assert answer.headers["Expires"] == "Fri, 01 Jan 2027 00:00:00 GMT"
        assert answer.headers["Vary"] == "Accept"
        assert answer.headers["ETag"].strip('"') == url.partition("=")[2]


async def test_another_hash_is_sent_on_to_the_right_one() -> None:
    async with kube() as ask:
        index = (await ask("GET", "/openapi/v3")).doc["paths"]
        moved = await ask("GET", "/openapi/v3/apis/apps/v1?hash=0123")
        assert (moved.status, moved.body) == (301, b"")
        assert moved.headers["Location"] == index["apis/apps/v1"]["serverRelativeURL"]


@pytest.mark.parametrize("path", ["/openapi/v2", "/openapi/v3", "/openapi/v3/api/v1"])
async def test_what_a_client_has_is_not_sent_again(path: str) -> None:
    async with kube() as ask:
        first = await ask("GET", path)
        assert first.status == 200
        assert "immutable" not in first.headers["Cache-Control"]
        again = await ask("GET", path, if_none_match=first.headers["ETag"])
        assert (again.status, again.body) == (304, b"")
        changed = await ask("GET", path, if_none_match='"other"')
        assert changed.body == first.body


async def test_no_such_document() -> None:
    async with kube() as ask:
        assert (await ask("GET", "/openapi/v3/apis/none/v1")).status == 404


async def test_schemas_say_whose_they_are_and_how_they_are_merged() -> None:
    async with kube() as ask:
        v2 = (await ask("GET", "/openapi/v2")).doc["definitions"]
        v3 = (await ask("GET", "/openapi/v3/apis/apps/v1")).doc["components"]["schemas"]
        for schemas in (v2, v3):
            about = {"group": "apps", "kind": "Deployment", "version": "v1"}
            assert schemas[DEPLOYMENT]["x-kubernetes-group-version-kind"] == [about]
            containers = schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
            assert containers["x-kubernetes-patch-merge-key"] == "name"
            assert containers["x-kubernetes-patch-strategy"] == "merge"
            assert containers["x-kubernetes-list-type"] == "map"
            assert containers["x-kubernetes-list-map-keys"] == ["name"]


async def test_every_kind_is_described_in_its_document() -> None:
    async with kube() as ask:
        index = (await ask("GET", "/openapi/v3")).doc["paths"]
        for kind in KINDS:
            name = f"apis/{kind.api_version}" if kind.group else "api/v1"
            url = index[name]["serverRelativeURL"].partition("?")[0]
            schemas = (await ask("GET", url)).doc["components"]["schemas"]
            about = {"group": kind.group, "kind": kind.name, "version": kind.version}
            assert about in schemas[kind.schema]["x-kubernetes-group-version-kind"]
