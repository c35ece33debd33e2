"""Rule 2: what a PUT says of revisions, and what it makes of what is not there."""

from __future__ import annotations

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Kind
from tests.doors.rig import config_map, kube
from tests.objects.valid import valid

MAPS = "/api/v1/namespaces/default/configmaps"
_MADE = [
    kinds.CLUSTER_ROLE, kinds.CLUSTER_ROLE_BINDING, kinds.ENDPOINTS, kinds.EVENT, kinds.LEASE,
    kinds.LIMIT_RANGE, kinds.ROLE, kinds.ROLE_BINDING, kinds.RUNTIME_CLASS, kinds.SERVICE,
]  # fmt: skip


def _path(kind: Kind, name: str) -> str:
    root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.version}"
    return f"{root}/{'namespaces/default/' if kind.namespaced else ''}{kind.plural}/{name}"


@pytest.mark.parametrize("kind", _MADE, ids=lambda kind: kind.name)
async def test_some_kinds_are_made_by_a_put(kind: Kind) -> None:
    async with kube() as ask:
        body = valid(kind)
        path = _path(kind, body["metadata"]["name"])
        dry = await ask("PUT", f"{path}?dryRun=All", body)
        assert dry.status == 201, dry.doc
        assert (await ask("GET", path)).status == 404
        made = await ask("PUT", path, body)
        assert (made.status, made.doc["metadata"]["uid"] != "") == (201, True)
        again = await ask("PUT", path, body)
        assert again.status == 200
        assert again.doc["metadata"]["uid"] == made.doc["metadata"]["uid"]


@pytest.mark.parametrize("kind", [kinds.CONFIG_MAP, kinds.POD, kinds.DEPLOYMENT], ids=str)
async def test_others_are_not(kind: Kind) -> None:
    async with kube() as ask:
        body = valid(kind)
        refused = await ask("PUT", _path(kind, body["metadata"]["name"]), body)
        assert (refused.status, refused.doc["reason"]) == (404, "NotFound")


async def test_nor_are_their_statuses() -> None:
    async with kube() as ask:
        body = valid(kinds.SERVICE)
        path = _path(kinds.SERVICE, body["metadata"]["name"])
        assert (await ask("PUT", f"{path}/status", body)).status == 404


async def test_a_stale_revision_is_a_conflict_and_none_is_none() -> None:
    async with kube() as ask:
        first = (await ask("POST", MAPS, config_map("a"))).doc
        second = await ask("PUT", f"{MAPS}/a", {**first, "data": {"k": "1"}})
        assert second.status == 200
        stale = await ask("PUT", f"{MAPS}/a", {**first, "data": {"k": "2"}})
        assert (stale.status, stale.doc["reason"]) == (409, "Conflict")
        assert stale.doc["message"] == (
            'Operation cannot be fulfilled on configmaps "a": the object has been modified; '
            "please apply your changes to the latest version and try again"
        )
        free = await ask("PUT", f"{MAPS}/a", config_map("a", k="3"))
        assert free.doc["data"] == {"k": "3"}


async def test_a_new_object_has_no_revision() -> None:
    async with kube() as ask:
        body = config_map("a") | {"metadata": {"name": "a", "resourceVersion": "7"}}
        refused = await ask("POST", MAPS, body)
        assert refused.status == 400
        assert (
            "resourceVersion should not be set on objects to be created" in refused.doc["message"]
        )
