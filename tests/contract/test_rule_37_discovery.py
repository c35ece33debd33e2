"""Rules 37 and 38: every kind is discovered and described with the verbs that it has."""

from __future__ import annotations

import pytest

from longshore.core.objects.kinds import KINDS, Kind
from tests.doors.rig import JSON, kube

_AGGREGATED = f"{JSON};g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_METHODS = {"list": "get", "create": "post", "deletecollection": "delete"}


@pytest.mark.parametrize("core", [True, False])
async def test_aggregated_discovery_says_what_the_lists_say(core: bool) -> None:
    async with kube() as ask:
        first = await ask("GET", "/api" if core else "/apis", accept=_AGGREGATED)
        for group in first.doc["items"]:
            for version in group["versions"]:
                name = group["metadata"].get("name", "")
                path = f"/apis/{name}/{version['version']}" if name else "/api/v1"
                listed = (await ask("GET", path)).doc["resources"]
                assert {r["resource"]: r["verbs"] for r in version["resources"]} == {
                    r["name"]: r["verbs"] for r in listed if "/" not in r["name"]
                }
        etag = first.headers["ETag"]
        path = "/api" if core else "/apis"
        same = await ask("GET", path, accept=_AGGREGATED, if_none_match=etag)
        assert (same.status, same.body) == (304, b"")


@pytest.mark.parametrize("kind", list(KINDS), ids=lambda kind: f"{kind.api_version}.{kind.name}")
async def test_openapi_has_the_paths_that_a_kinds_verbs_allow(kind: Kind) -> None:
    async with kube() as ask:
        name = f"apis/{kind.api_version}" if kind.group else f"api/{kind.version}"
        paths = (await ask("GET", f"/openapi/v3/{name}")).doc["paths"]
        inside = "/namespaces/{namespace}" if kind.namespaced else ""
        collection = paths[f"/{name}{inside}/{kind.plural}"]
        for verb, method in _METHODS.items():
            assert (method in collection) == (verb in kind.verbs)
        one = paths.get(f"/{name}{inside}/{kind.plural}/{{name}}", {})
        assert ("get" in one, "put" in one) == ("get" in kind.verbs, "update" in kind.verbs)


async def test_a_kind_that_is_listed_and_never_stored_is_empty() -> None:
    async with kube() as ask:
        assert (await ask("GET", "/api/v1/componentstatuses")).doc["items"] == []
        assert (await ask("GET", "/api/v1/componentstatuses/etcd-0")).status == 404
